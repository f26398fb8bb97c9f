"""`hsmctl dev`: a whole cluster on loopback, as processes, in one folder.

plan        which daemons there are and on which ports    configuration  the TOML files made from the plan
folder      where everything lies; keys and CA kept       daemon         one process and its end
readiness   asking the daemons whether they serve         manifest       dev.json
supervisor  starts all, waits, stops all                restart        asks the supervisor to start one again
data_centres  the plan with several sites and etcd
etcd_program  where etcd is, or how it is fetched
"""
