"""What a cluster is: sites, nodes, paths, partitions, and the rules of its service package. Pure.

errors      the one line for the user           toml_file  a TOML file -> a checked form
address     host and port                       topology   the forms of cluster.toml
packages    service packages and what they ask  distance   kilometres between two places
rules       each violation, named               cluster    cluster.toml, loaded: who may do what, where everything is
usage       what partitions have used in a day, as all nodes counted it

What this package does not do: it opens no socket and knows nothing of the daemons' own files.
"""
