"""The client library: keys that live in the cluster, used like keys at hand.

connect          asyncio: `async with connect("client.toml") as hsm`
sync.connect     the same names, blocking, thread-safe, fork-safe; adds `private_key` for x509 builders, PyJWT...
client, keys     the cluster and a key         objects            what is stored beside keys (sync_*: blocking)
cluster          requests and their answers    versions           a rotated key's newest and earlier ones
policies         what a key may do, by name    new_keys           what making any key takes
pool, connection several connections to several proxies
in_flight        who waits for an answer     silence            whether a proxy still talks to us
waiting_line     who waits for room on one   sockets            what a forked child must let go
portal           the blocking client's loop  private_keys       `cryptography` key objects
errors           typed, by who can mend them config, tls        client.toml, SPIFFE identities
retry            when to send again          mechanisms, derivations, encodings, key_ids   names and forms

Every operation is safe to send twice, so the library sends again by itself until the deadline (`retry=False`
turns that off). What this package does not do: it chooses no node, and never holds a private key.
"""

from hsm_client.client import Hsm, connect
from hsm_client.keys import Encapsulated, Encrypted, Key
from hsm_client.objects import StoredObject
from hsm_client.policies import policy
from hsm_wire.usages import Usage

__all__ = ["Encapsulated", "Encrypted", "Hsm", "Key", "StoredObject", "Usage", "connect", "policy"]
