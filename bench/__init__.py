"""What a request costs the proxy, beside HAProxy in the same run.

certificates  a CA and short-lived certificates for the run       echo_node  nodes that answer with what they got
load          the clients, and how long they waited               peers      starts what is measured
processes     starting, stopping, CPU time                        __main__   the rounds and the report
"""
