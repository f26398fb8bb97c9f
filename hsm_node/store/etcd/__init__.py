"""The distributed store: etcd, a member per site. Records are rows of one map; revisions are etcd's own.

driver        `EtcdStore`: what the node asks of a store       opening     whose store it is, at start
calls         one call over several members, in time           channels    a gRPC channel per member
watching      the thread that follows: list, then watch        probing     the thread that proves contact
following     what the threads hand to the node                identity    which etcd cluster, and how far it has come
What decides, without sockets, threads and clock:
follow_state  what was listed and seen -> rows for the node    contact     until when all that was committed is here
members       which member to ask next                         faults      what an error means: done, not done, in doubt
transactions  requests of etcd and what their answers mean     messages    the messages, made from messages.proto

Nothing here trusts the engine: rows are authenticated by who follows, the check record by `opening`.
"""

import os

# Read when gRPC is imported. Its own lines would stand between ours in the log, and say no more than the errors that it
# raises; nothing here forks, and its handlers would write a line wherever something beside it does.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
