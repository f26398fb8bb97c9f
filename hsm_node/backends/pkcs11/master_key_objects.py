"""The parts of a master key, as objects of a token: who may do what with them, and what they may never be asked for.

| part | what it does | what its template fixes |
|---|---|---|
| kek private | wraps and unwraps private keys | what it unwraps is a sensitive private key that is not extractable |
| kek aes | wraps and unwraps AES keys | the same of AES keys, which besides derive nothing |
| kek secret | wraps and unwraps other secrets | the same of generic secrets |
| mac | HMAC-SHA256 of records | - |
| attributes | given out to the node, with the fingerprint: encrypts labels, names, store keys | it guards no key |

The KEKs have one value, because the record format has one KEK. They are several objects, because a template has one
class and one key type. Tried with SoftHSM2: without EXTRACTABLE in the template, whoever has the PIN unwraps a key as
extractable and wraps it once more under a key of his own; without CLASS he unwraps a private key as a secret one;
without KEY_TYPE he unwraps an AES key as one for DES, which can be guessed, and with DERIVE he would cut pieces off it.
"""

from enum import StrEnum
from typing import Final

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11.structures import Template
from hsm_node.core.attribute_key import KEY_BYTES, derive
from hsm_node.core.derived_keys import FINGERPRINT_BYTES, DerivedKeys
from hsm_wire.key_types import Family, KeyType


class Part(StrEnum):
    """What is behind a master key's label in the label of a part."""

    PRIVATE_KEK = "kek private"
    AES_KEK = "kek aes"
    SECRET_KEK = "kek secret"  # noqa: S105 - a part of a label
    MAC = "mac"
    ATTRIBUTES = "attributes"


ATTRIBUTES_BYTES: Final = KEY_BYTES + FINGERPRINT_BYTES
"""The attribute key, and the fingerprint of its master key: both are what a node in software would have."""


_UNWRAPPED: Final[dict[Part, Template]] = {
    Part.PRIVATE_KEK: {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY},
    Part.AES_KEK: {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_AES, ck.CKA_DERIVE: False},
    Part.SECRET_KEK: {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET, ck.CKA_DERIVE: False},
}
"""What is fixed of a key that a KEK unwraps, beside that it is hidden."""


KEKS: Final = tuple(_UNWRAPPED)
"""The parts that wrap and unwrap."""


def kek_of(key_type: KeyType) -> Part:
    """Return the KEK of such keys."""
    if not key_type.symmetric:
        return Part.PRIVATE_KEK
    return Part.AES_KEK if key_type.family is Family.AES else Part.SECRET_KEK


def part_label(label: str, part: Part) -> bytes:
    """Return CKA_LABEL of a part."""
    return f"{label} {part}".encode()


def part_values(master_key: bytes) -> dict[Part, bytes]:
    """Return what the parts of a master key in software are: for a ceremony that brings it into a device."""
    kek = derive(master_key, b"kek")
    given_out = derive(master_key, b"record attributes") + DerivedKeys(master_key).fingerprint
    values = (kek, kek, kek, derive(master_key, b"record mac"), given_out)
    return dict(zip(Part, values, strict=True))


def part_template(label: str, part: Part, value: bytes) -> Template:
    """Return the object that a part is, for a ceremony that brings its value."""
    return {**part_object(label, part), ck.CKA_VALUE: value}


def part_object(label: str, part: Part) -> Template:
    """Return the object that a part is, for a ceremony that unwraps its value.

    MODIFIABLE and COPYABLE are off: whoever has the PIN can change no use of it, nor make a copy with another.
    """
    common: Template = {
        ck.CKA_CLASS: ck.CKO_SECRET_KEY,
        ck.CKA_TOKEN: True,
        ck.CKA_PRIVATE: True,
        ck.CKA_LABEL: part_label(label, part),
        ck.CKA_MODIFIABLE: False,
        ck.CKA_COPYABLE: False,
    }
    return {**common, **_kind(part)}


def _kind(part: Part) -> Template:
    if part is Part.ATTRIBUTES:
        return {
            ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET,
            ck.CKA_SENSITIVE: False,
            ck.CKA_EXTRACTABLE: True,
            **_uses(),
        }
    hidden: Template = {ck.CKA_SENSITIVE: True, ck.CKA_EXTRACTABLE: False}
    if part is Part.MAC:
        return {ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET, **hidden, **_uses(ck.CKA_SIGN)}
    wrapping = _uses(ck.CKA_WRAP, ck.CKA_UNWRAP)
    return {ck.CKA_KEY_TYPE: ck.CKK_AES, **hidden, **wrapping, ck.CKA_UNWRAP_TEMPLATE: {**_UNWRAPPED[part], **hidden}}


def _uses(*allowed: int) -> Template:
    """Return every use of a secret key, those allowed and those not: a device's own default is no rule."""
    every = (ck.CKA_ENCRYPT, ck.CKA_DECRYPT, ck.CKA_SIGN, ck.CKA_VERIFY, ck.CKA_WRAP, ck.CKA_UNWRAP, ck.CKA_DERIVE)
    return {use: use in allowed for use in every}
