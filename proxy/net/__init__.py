"""Sockets, TLS and timers. It does what `proxy.core` decided, and decides nothing about requests itself.

write_gate       collects writes, flushes once per loop turn    listener     accepts clients, bounds their number
client_protocol  one connection of a client                     link_keeper  connects to nodes, pings, gives up
node_link        one connection to a node                       ticker       the one timer of the process
"""
