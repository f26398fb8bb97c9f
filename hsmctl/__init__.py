"""The command line: everything a person does with a cluster.

cli           the command group and its exit codes      session   how a command finds and opens the cluster
output        text for people, JSON for programs        failures  errors as one line and an exit code
files         reading and writing, `-` for standard streams
shares        a master key in shares                   local_node  a node asked over its local socket
key_options   label, usage and policy of a new key      key_descriptions  what is shown of one
moments, octets  times and bytes on a command line      public_keys  PEM and DER of keys and certificates
mechanism_names  what each command offers by name       key_material  private keys in files
certificates  the CA and short-lived certificates of `hsmctl dev`
distinguished_names  subjects and alternative names as X.509 objects
known_answers vectors for `selftest`                    issuing  certificates and requests, signed in the cluster
proxies       every proxy asked the same                terminal  pages with colours; printable: text from elsewhere
commands/     one module a group of commands            overview/ the cluster as `status`, `top` and `events` show it
top/          its live screen                           doctor/   what is wrong, and what to do about it
dev/          a whole cluster on loopback               bench/    load, histogram, report

What this package does not do: it never imports a daemon; `dev` starts them as processes.
"""
