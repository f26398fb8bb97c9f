"""From a mechanism's name to what goes on the wire: number, parameters, and data hashed here where that is due."""

import hashlib
from collections.abc import Collection
from typing import Final, NamedTuple

import msgspec

from hsm_client.encodings import digest_info
from hsm_client.errors import BadData, UnknownMechanism
from hsm_wire import mechanisms as m
from hsm_wire import parameters as p
from hsm_wire.key_types import Family
from hsm_wire.mechanisms import MECHANISM_BY_ALIAS, MECHANISMS, Mechanism
from hsm_wire.messages import NIL_PARAMETERS, encode_body
from hsm_wire.statuses import Status

LOCAL_HASH_BYTES: Final = 16 * 1024
"""Longer data is hashed here for RSA and ECDSA: sending a digest is cheaper than sending the data."""

MGF_OF_HASH: Final = {
    m.CKM_SHA256: p.CKG_MGF1_SHA256,
    m.CKM_SHA384: p.CKG_MGF1_SHA384,
    m.CKM_SHA512: p.CKG_MGF1_SHA512,
}


class Prepared(NamedTuple):
    """What a SIGN, VERIFY, ENCRYPT or DECRYPT carries beside the key."""

    number: int
    parameters: msgspec.Raw
    data: bytes

    def __repr__(self) -> str:  # A plaintext is nobody's business.
        return f"Prepared({self.number:#06x}, data=<{len(self.data)} bytes>)"


def find_mechanism(mechanism: str | int) -> Mechanism:
    """Return the row of a mechanism by name (`ecdsa-sha256`) or CKM number.

    Raises:
        UnknownMechanism: there is none.
    """
    row = MECHANISMS.get(mechanism) if isinstance(mechanism, int) else MECHANISM_BY_ALIAS.get(mechanism)
    if row is None:
        names = " ".join(MECHANISM_BY_ALIAS)
        raise UnknownMechanism(f"unknown mechanism {mechanism!r}; known: {names}", status=Status.UNKNOWN_MECHANISM)
    return row


def encode_parameters(parameters: p.Parameters | None) -> msgspec.Raw:
    """Return parameters as a body carries them."""
    return NIL_PARAMETERS if parameters is None else msgspec.Raw(encode_body(parameters))


def prepare_signature(
    mechanism: str | int,
    data: bytes,
    *,
    prehashed: bool,
    parameters: p.Parameters | None,
    context: bytes = b"",
    allowed: Collection[int] = (),
) -> Prepared:
    """Choose how data (or its digest) is signed or verified.

    `context` sets apart signatures of one key for different purposes, where the mechanism has it (ML-DSA, EdDSA).
    `allowed` are the mechanisms of the key's policy, empty where all are: data is not hashed here where the policy
    lacks the form that takes a digest.

    Raises:
        UnknownMechanism: there is no such mechanism, or none for a digest or with a context.
        BadData: the digest's length is not that of the mechanism's hash.
    """
    row = find_mechanism(mechanism)
    if context:
        parameters = _context_parameters(row, context)
    hashable = row.hash_mechanism in m.HASH_NAMES and row.families in ((Family.RSA,), (Family.EC,))
    if parameters is None and row.parameters is p.PssParameters and row.hash_mechanism:
        digest_bytes = hashlib.new(m.HASH_NAMES[row.hash_mechanism]).digest_size
        parameters = p.PssParameters(row.hash_mechanism, MGF_OF_HASH[row.hash_mechanism], digest_bytes)
    if row.digest_input or not (prehashed or (hashable and len(data) > LOCAL_HASH_BYTES)):
        return Prepared(row.number, encode_parameters(parameters), data)
    if not hashable:
        raise UnknownMechanism(
            f"{row.alias} signs whole data, not a digest; leave `prehashed` out", status=Status.UNKNOWN_MECHANISM
        )
    hash_name = m.HASH_NAMES[row.hash_mechanism]
    digest = data if prehashed else hashlib.new(hash_name, data).digest()
    prepared = _prepare_digest(row, hash_name, digest, parameters)
    if allowed and not prehashed and prepared.number not in allowed:
        return Prepared(row.number, encode_parameters(parameters), data)
    return prepared


def _context_parameters(row: Mechanism, context: bytes) -> p.Parameters:
    if row.parameters is p.MlDsaParameters:
        return p.MlDsaParameters(context)
    if row.parameters is p.EddsaParameters:
        return p.EddsaParameters(context=context)
    raise UnknownMechanism(f"{row.alias} takes no context; leave it out", status=Status.UNKNOWN_MECHANISM)


def _prepare_digest(row: Mechanism, hash_name: str, digest: bytes, parameters: p.Parameters | None) -> Prepared:
    wanted = hashlib.new(hash_name).digest_size
    if len(digest) != wanted:
        raise BadData(f"a {hash_name} digest has {wanted} bytes; this one has {len(digest)}", status=Status.BAD_DATA)
    if row.families == (Family.EC,):
        return Prepared(m.CKM_ECDSA, NIL_PARAMETERS, digest)
    if row.parameters is p.PssParameters:
        return Prepared(m.CKM_RSA_PKCS_PSS, encode_parameters(parameters), digest)
    return Prepared(m.CKM_RSA_PKCS, NIL_PARAMETERS, digest_info(hash_name, digest))


def prepare_cipher(
    mechanism: str | int, data: bytes, *, iv: bytes, aad: bytes, parameters: p.Parameters | None
) -> Prepared:
    """Choose how data is encrypted or decrypted; `iv` and `aad` go where the mechanism has them."""
    row = find_mechanism(mechanism)
    if parameters is None:
        parameters = _cipher_parameters(row, iv, aad)
    return Prepared(row.number, encode_parameters(parameters), data)


def _cipher_parameters(row: Mechanism, iv: bytes, aad: bytes) -> p.Parameters | None:
    if aad and row.parameters is not p.GcmParameters:
        raise UnknownMechanism(f"{row.alias} takes no additional data", status=Status.UNKNOWN_MECHANISM)
    if row.parameters is p.GcmParameters:
        return p.GcmParameters(iv, aad)
    if row.parameters is p.IvParameters:
        return p.IvParameters(iv)
    if row.parameters is p.CtrParameters:
        return p.CtrParameters(counter_block=iv)
    if row.parameters is p.OaepParameters:
        return p.OaepParameters(m.CKM_SHA256, p.CKG_MGF1_SHA256)
    return None
