"""A proxy with `workers` above 1: a parent, and processes that are each a whole proxy (docs/adr/0020).

messages  what both say to each other           channel   over which they say it, bounded
roster    who runs, who is due, who is stuck    sums      the figures of all, for /metrics
loads     what each does, for reports           ledger    events, numbered once for all
courtesy  who takes the next connection         seat      a worker's place, as the rest of the proxy sees it
child     a worker as a process of the parent   crew      all of them: started, watched, spoken to
pages     the admin pages of the parent         journal   what happens to workers: lines and events
parent    the parent's process                  worker    the worker's

`messages`, `roster`, `sums`, `loads`, `ledger` and `courtesy` decide without a process, a socket or a clock. No request
of a client passes through the parent.
"""
