"""The HSM daemon: keystore back ends and store drivers behind the wire protocol.

cli        flags, exit codes                     app      puts the parts together, starts and stops them
config     node.toml                             net      connections: bytes <-> requests and answers
service    one handler an operation              work     bounded thread pools
store      sealed records on disk                backends keys at work (software: `cryptography`)
core       what is decided: records, rights, the key table, queues; no I/O, clock or chance
metrics    plain integers -> Prometheus
reconfiguration  what SIGHUP changes              state      what this host has seen of the store
master_key where the master key comes from       opening  master key -> store -> keystore
migration  the program that moves a store from SQLite to etcd
sealed_phase, open_phase  what a node is before and after that, and what it says of itself

A request: net reads it, service checks who asks, follows the store, and runs it on the loop (cheap) or in a pool
(dear). What this package does not do: choose nodes, retry, or trust a client; it talks to proxies only.
"""

from hsm_daemon.release import release

SOFTWARE = f"redoubt-node/{release()}"
