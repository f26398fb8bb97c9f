"""hsmctl dr promote: the DR site takes over.

promote    the steps, one node after the other       host        what a host of the DR site must do for them
own_store  the member that is left, made a store of  systemd_host, dev_host   the two kinds of hosts
           its own                                   member_file what etcd's own configuration says
exchange   of its data, the old and the new

It changes nothing but the member's data, of which the old ones are kept beside. That the DR site serves is the node's
word: only nodes can write it.
"""
