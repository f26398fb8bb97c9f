"""What a request costs the proxy, beside other balancers in the same run.

native        the load generator and the echo nodes in C, compiled on demand, and their stand-ins in Python
load          the clients in Python, where there is no compiler     echo_node  the nodes, likewise
certificates  a CA and short-lived certificates for the run         tls        contexts for both
peers         starts what is measured                               programs   finds the programs of others
proxy_files   the configuration of our proxy                        processes  starting, stopping, CPU time
workloads     what is measured with which load                      rounds     a measurement; interleaved rounds
report        medians, latest.json, the table                       study      what those share that are no workload:
latency       open loop at half load                                handshakes full ones
memory        of connections                                        client_cost  of the library
outside       of whole daemons with keys                            studies    their names
kept          the figures that docs/performance.md shows            targets    what is asked of them
machine       what they were measured on                            document   the page, and its picture
enclosed      proxy, clients and nodes in one process               instructions  counts what that executes
scrape        what a page of metrics costs
"""
