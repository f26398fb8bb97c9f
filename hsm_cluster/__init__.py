"""`cluster.toml` and its rules: sites, nodes, paths, partitions, service packages, distances. Pure.

toml_file   a TOML file -> a typed form, or one clear line       errors    that line
address     host:port                                            distance  great circles
topology    sites, nodes, paths                                  access    partitions, grants, principals
packages    what each service package asks for                   cluster   the whole file, checked

What it does not do: it opens no socket and knows no protocol; it reads files only where it is told to load one.
"""
