"""Every decision of the balancer. No I/O, no clock, no chance: `now` and the generator are arguments.

requests    the way of a request: dispatcher, balancer, failover, deadlines
checks      whether a node serves: supervisor, silence, deep check, outliers, agreement of the stores
quota       what a package allows: quotas, usage, compliance
nodes       the table of nodes, paths and states
reporting   what people are told: health, events, rates, overload

What all of them share:
parties     Client, Link, Request                            principals  who asks: numbers that BIND announces
settings    every limit and interval                         control_budget  what one may ask of the proxy
counters    plain integers                                   notices     lines for the log; `changes` of states

Output goes to `sink`s: functions that take bytes into a buffer, never fail and do nothing before the turn ends.
"""
