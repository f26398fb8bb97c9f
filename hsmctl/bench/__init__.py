"""Load for `hsmctl bench`.

plan       what is asked for              requests   the bytes of the request that is sent over and over
load       connections and workers        histogram  latencies in buckets of known precision
report     figures for people and programs

What this package does not do: it holds no key objects and never hashes or encodes while it measures.
"""
