"""What a package allows: `quotas` by usage that proxies and nodes exchange (`usage_exchange`), `generation_rate`.

compliance  whether the cluster has what its package promises
"""
