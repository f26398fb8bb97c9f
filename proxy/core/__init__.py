"""Every decision of the balancer. No I/O, no clock, no chance: `now` and the generator are arguments.

node_table  nodes, paths, states: one function moves them    balancer    the random weighted draw
health      when to ping, what an answer or silence means    dispatcher  requests in, answers out, exactly one each
fair_queue  requests that wait for a window, client by client deadlines   one coarse wheel for all requests
principals  who asks: numbers that BIND announces            counters    plain integers, read by `proxy.metrics`
parties     the objects that the others share: Client, Link, Request

Output goes to `sink`s: functions that take bytes into a buffer, never fail and do nothing before the turn ends.
"""
