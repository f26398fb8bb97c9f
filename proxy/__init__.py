"""hsm-proxy: gives each request to one random HSM node, and another one when that node is lost.

cli      the command line              app      puts the parts together, starts and stops them
config   proxy.toml -> frozen settings status   the cluster as this proxy sees it
metrics  counters -> Prometheus        net      sockets, TLS, timers: does what core decided
process  signals, hot restart          reconfiguration   what SIGHUP changes
core     every decision: no I/O, no clock, no chance of its own
admin_pages  what the admin port shows; status_page and the folder `page` are what people see there
observation  load, overload, the own certificate: looked at in each beat
request_log, stall_log  lines about slow requests, and about the proxy's own stalls

A request comes in at `net.client_protocol`, `core.dispatcher` gives it a node and a number on that node's link,
`net.node_link` brings the answer back. The proxy reads headers only; a body passes as the bytes it came in.
What it does not do: it holds no keys, reads no store and keeps no state over a restart.
"""
