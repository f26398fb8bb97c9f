"""Sockets, TLS and timers. It does what `proxy.core` decided, and decides nothing about requests itself.

write_gate       collects writes, flushes once per loop turn    listener     accepts clients, bounds their number
client_protocol  one connection of a client                     link_keeper  connects to nodes, pings, gives up
intake           reads a client, or lets it wait                ticker       the one timer of the process
greeting         answers a client's HELLO                       node_link    one connection to a node
housekeeping     closes clients that only hold memory           departures   sends clients away, a few at a time
journal          what happens, as a line of the log and an event             notary  the deep check's cryptography
"""
