"""The way of a request, from its client to a node and back.

dispatcher  requests in, answers out, exactly one each       switch      where a request meets a node's link
balancer    the random weighted draw                         fair_queue  what waits for a window, client by client
failover    what a node did not serve: `waiting_room`, `budget`, `poison`
own_answers what the proxy answers itself, in `answers`      deadlines   one coarse wheel for all requests
stale_answers  those that are marked, until it is known whether another node has a newer one
request_notes  slow requests, and a sample of those that fail
"""
