"""The protocol: bytes <-> meaning. No I/O, no clock, no chance.

limits      every number that bounds something on the wire, with its unit and reason
kinds       frame kinds and flags                 opcodes     operations by number
statuses    the one table of answers              usages      what a key may be used for
key_types   key types by name                     mechanisms  mechanisms by CKM number
parameters  mechanism parameters as PKCS#11 has them
forms       what all bodies share, the codec      messages    the body of every message (*_messages: by range)
objects, administration  bodies of those ranges   operations  opcode -> its two bodies, its role, its cost
frames      the 32-byte header and the splitter   states      who may send what, as one table
shares      shares of a master key: the body of UNSEAL
connection  a splitter, the state table and the limits, put together for one end
errors      who is at fault

What this package does not do: it never opens a socket, reads a clock or decides where a request goes.
"""
