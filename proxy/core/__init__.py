"""Every decision of the balancer. No I/O, no clock, no chance: `now` and the generator are arguments.

The way of a request:
dispatcher  requests in, answers out, exactly one each       switch      where a request meets a node's link
balancer    the random weighted draw                         fair_queue  what waits for a window, client by client
failover    what a node did not serve: `waiting_room`, `budget`, `poison`
own_answers what the proxy answers itself                    deadlines   one coarse wheel for all requests
parties     what the others share: Client, Link, Request     principals  who asks: numbers that BIND announces

The nodes:
node_table  nodes, paths, states: one function moves them    supervisor  has a `node_watch` for each node, of
            `path_health`, `silence`, `deep_check`, `progress`, `outliers` and `sanction`
agreement   whether their stores agree: `sightings`          settings    every limit and interval

What people are told:
counters    plain integers; `rates` of the last ten seconds  health      what is wrong; `overload`, `expiry`
notices     lines for the log; `changes` of states           events      what happened, as `sentences`
request_notes  slow requests, and a sample of those that fail

Output goes to `sink`s: functions that take bytes into a buffer, never fail and do nothing before the turn ends.
"""
