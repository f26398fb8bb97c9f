"""What a request costs the proxy, beside other balancers in the same run.

native        the load generator and the echo nodes in C, compiled on demand, and their stand-ins in Python
load          the clients in Python, where there is no compiler     echo_node  the nodes, likewise
certificates  a CA and short-lived certificates for the run         tls        contexts for both
enclosed      proxy, clients and nodes in one process        instructions  counts what that executes, for `bench-check`
peers         starts what is measured                               programs   finds the programs of others
proxy_files   the proxy's configuration
processes     starting, stopping, CPU time                          workloads  what is measured with which load
rounds        one measurement, and the interleaved rounds           report     medians, latest.json, the table
"""
