"""Moves a store from an SQLite file to etcd, byte for byte: no master key is needed, and none is read.

moving   what is done, in which order; and back      source   the SQLite file, locked for the whole time
digests  what two stores are compared by             target   the etcd: whose it is, what is written to it
mark     what stands in etcd meanwhile               errors   one line: what is wrong, what to do

Theory. What authenticates a row binds cluster, name and content, and neither the kind of the store nor a revision, so
rows stay valid. Revisions are etcd's own, and may only grow for whoever has followed the store: nodes remember the
highest that they saw. So etcd's revision is first brought above the last one of the file, and then the rows are
written, in the order that they have there.

Never may nodes serve from both. The file is locked from beginning to end, so no node opens it. In etcd the mark stands
in the place of the check record, so no node takes it for a store, and none makes one there. When both sides are equal,
first the file is marked as moved, and then the mark in etcd gives way to the check record: whoever is killed in between
leaves two stores that no node opens, and the same command goes on from there.
"""
