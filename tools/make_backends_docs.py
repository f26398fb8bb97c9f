"""Make docs/backends.md: what works where, of the columns that the conformance suite holds every back end to.

python tools/make_backends_docs.py            write docs/backends.md
python tools/make_backends_docs.py --check    change nothing; exit 1 if the page is not as it would be written
"""

import sys
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "tests" / "hsm_node" / "backends" / "pkcs11")]

from columns import LACKING, TOO_SHORT  # type: ignore[import-not-found]  # noqa: E402 - found through the path above
from made_pages import table, write_or_check  # noqa: E402 - as the line above

from hsm_node.backends.pkcs11.key_templates import FAMILIES  # noqa: E402
from hsm_node.backends.software import IMPLEMENTED  # noqa: E402
from hsm_wire.key_types import KEY_TYPES  # noqa: E402
from hsm_wire.mechanisms import MECHANISMS  # noqa: E402
from hsm_wire.usages import Usage  # noqa: E402

PAGE: Final = ROOT / "docs" / "backends.md"
TITLES: Final = {"software": "software", "softhsm": "SoftHSM 2.6.1 behind PKCS#11"}
HEAD: Final = """# Back ends

<!-- Made by tools/make_backends_docs.py. Do not edit. -->

What a node offers is what it has proved at its start, with known answers. This is what the conformance suite
(`tests/hsm_node/backends/pkcs11/test_conformance.py`) found to work in each back end. What a column lacks is refused as
MECHANISM_NOT_HERE, not executed, and the proxy asks the next node, at no cost to the request. Another device behind
PKCS#11 has a column of its own: `hsm-node` says at its start what is not offered, and why.

## What a cluster offers

INFO names what every node of the cluster has proved, active or at the DR site, reached or not: a node that lacks
something says in the store what it has. New keys are of types that every node can use; others are refused as
MECHANISM_NOT_HERE. A use of a key goes to whichever node can do it.

A node that cannot use a type of keys that are stored already is `lacking`: `hsmctl status` says which type and how many
keys, and the node serves only while no other node can. What the cluster offers does not shrink to what it has. It comes
into the rotation when the last such key is destroyed. Where all nodes lack a type, all serve, and say so.

## Keys that are in a device already

A private key that cannot be wrapped, because its device does not give it out or does not wrap its type, can be used
where it is. node.toml of its node says who may have it:

```toml
[backend]
adopt = [{ object = "legacy-tls", partition = 1 }]
```

`object` is the label (CKA_LABEL) of the private and of the public key; no other key may have it. Then somebody with the
role `manage` in that partition makes a record of it:

```sh
hsmctl key adopt --type ed25519 --object legacy-tls --label legacy
```

The key signs and verifies (RSA, ECDSA, EdDSA). It is **not replicated**: requests find their way to the nodes whose
devices have an object of that label with that very key, others refuse them as MECHANISM_NOT_HERE, and what no such node
answers fails. No backup and no DR site has it. `hsmctl key show` says `adopted_at`. Each signature is verified with the
record's public key before it leaves the node. DESTROY_KEY destroys the record, and leaves the object in the device.
"""
REASONS: Final = """
SoftHSM2's gaps, of 2.6.1 in Debian 12:

- RFC 5649 is 0x210A there, not 0x210B: `wrap_mechanism = 0x210a` in `[backend]`.
- It does not unwrap Edwards and X keys, so they cannot be brought to another token.
- OAEP with SHA-1 is all it has; HKDF, ML-DSA and ML-KEM are absent.
- A secret whose length is no multiple of eight bytes comes back longer: such imports are refused.
- ECDH it has, but what is agreed on goes through HKDF (`CKM_ECDH1_DERIVE` in [mechanisms](mechanisms.md)), which it
  lacks: the shared secret would have to leave the token, and so no node derives with it.
- Keys that a device has unwrapped are not extractable, so it wraps none of them for a caller, and takes none in that a
  caller's key wraps: WRAP_KEY and UNWRAP_KEY are not offered.
- For the same reason it cannot bring its keys under another master key. `next_master_key` beside a master key in a
  device is refused: `a master key in a device has no successor`, exit 2. Where a master key in devices may be known to
  somebody, only other keys help, in a cluster with another master key ([the ceremony](ceremony.md)).
"""


def usage_words(usages: Usage) -> str:
    """Return usages as a cell."""
    return " ".join(usage.name or "" for usage in Usage if usage in usages) or "-"


def page() -> str:
    """Return the page."""
    rows = [
        (
            f"`{MECHANISMS[number].name}`",
            *(usage_words(usages & ~lacking.get(number, Usage(0))) for lacking in map(LACKING.__getitem__, TITLES)),
        )
        for number, usages in sorted(IMPLEMENTED.items())
    ]
    kept = [(f"`{name}`", "yes", "yes" if row.family in FAMILIES else "-") for name, row in KEY_TYPES.items()]
    short = [f"`{MECHANISMS[number].name}` with `{name}`" for name, number in sorted(TOO_SHORT["softhsm"])]
    text = HEAD + "\n## Mechanisms\n\n" + table(("mechanism", *TITLES.values()), rows)
    text += "\nHMAC keys of SoftHSM2 are as long as the hash at least; so it lacks\n\n"
    text += "".join(f"- {which}\n" for which in short)
    return text + "\n## Key types\n\n" + table(("key type", *TITLES.values()), kept) + REASONS


if __name__ == "__main__":
    sys.exit(write_or_check({PAGE: page()}, sys.argv[1:], "tools/make_backends_docs.py"))
