"""Keys that somebody brings: what is not a key of its type is BAD_DATA, and what is taken works without an accident."""

import os
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from desk import Asked, Desk
from good_requests import good_parameters
from key_materials import material
from wire_values import packed

from hsm_wire.key_types import KEY_TYPES, Family, KeyType
from hsm_wire.mechanisms import CKM_AES_KEY_WRAP_KWP, MECHANISMS, Data
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

TYPES: Final = [row for row in KEY_TYPES.values() if row.family is not Family.RSA or row.size == 2048]
"""Longer RSA keys take seconds to be made."""
MUTATIONS: Final = 40
ANSWERS: Final = (Status.OK, Status.BAD_DATA, Status.KEY_USAGE, Status.MECHANISM_NOT_HERE)
"""Of a key at work on some data: it is too long for RSA, needs a policy flag, or the node lacks the mechanism."""
LENGTHS: Final = {Family.HMAC: range(14, 1025), Family.SECRET: range(16, 1025)}
"""Bytes that a secret may have (docs/protocol.md names no other)."""


def hostile_materials(key_type: KeyType) -> Iterator[tuple[str, bytes, set[Status]]]:
    """Give (what it is, material, the statuses of which one must be the answer)."""
    good, bad = material(key_type.name), {Status.BAD_DATA}
    yield "itself", good, {Status.OK}
    if key_type.symmetric:
        right = LENGTHS.get(key_type.family, (key_type.size // 8,))
        for length in (0, 1, 8, 13, 14, 15, 16, 17, 23, 24, 31, 32, 33, 64, 1024, 1025, 1 << 16):
            yield f"{length} bytes", os.urandom(length), {Status.OK} if length in right else bad
        return
    for other in TYPES:
        if other is not key_type:
            yield f"a key of type {other.name}", material(other.name), bad
    for name, other_form in other_forms(good):
        yield name, other_form, bad
    for end in (0, 1, 2, 8, 16, 24, len(good) // 2, len(good) - 1):
        yield f"only {end} bytes of it", good[:end], bad
    yield "a byte behind it", good + b"\0", bad
    yield "1 MiB of it", (good * (1 << 20))[: (1 << 20) - 100], bad
    yield "1 MiB of sequences in one another", b"\x30\x84\x00\x0f\xff\x00" * 160_000, bad
    chance = random.Random(key_type.name)
    for number in range(MUTATIONS):
        changed = bytearray(good)
        for _ in range(chance.choice((1, 1, 2, 3))):
            changed[chance.randrange(min(len(good), 48 if chance.random() < 0.7 else len(good)))] = chance.randrange(
                256
            )
        yield f"mutation {number}", bytes(changed), {Status.OK, Status.BAD_DATA}


def other_forms(good: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the same private key as nobody wants it."""
    private: Any = load_der_private_key(good, None)
    plain = NoEncryption()
    yield "PEM", private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain)
    yield "under a password", private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    public = private.public_key()
    yield "its public key", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def uses_of(key_type: KeyType, key_id: bytes) -> Iterator[Asked]:
    """Give a request for each mechanism and each way in which such a key works on data."""
    for mechanism in MECHANISMS.values():
        if key_type.family in mechanism.families and mechanism.data is not Data.NONE:
            for usage, opcode in ((Usage.SIGN, Opcode.SIGN), (Usage.ENCRYPT, Opcode.ENCRYPT)):
                if mechanism.usages & usage:
                    parameters = good_parameters(mechanism, usage, key_type.family)
                    yield Asked(opcode, packed([key_id, mechanism.number, parameters, bytes(32)]))


@pytest.mark.parametrize("key_type", TYPES, ids=lambda row: row.name)
def test_what_is_no_key_of_its_type_is_refused_and_what_is_taken_works(
    desk: Desk, count: Callable[[str, int], None], key_type: KeyType
) -> None:
    kek = os.urandom(32)
    wrapping = os.urandom(16)
    imported = desk.ask(Opcode.IMPORT_KEY, packed([wrapping, "aes-256", kek, "", int(Usage.UNWRAP)]))
    assert imported.status == Status.OK
    usage = int(key_type.usages & ~(Usage.WRAP | Usage.UNWRAP))
    refused = 0
    for name, data, expected in hostile_materials(key_type):
        key_id, copy = os.urandom(16), os.urandom(16)
        answer = desk.ask(Opcode.IMPORT_KEY, packed([key_id, key_type.name, data, "", usage]))
        assert answer.status in expected, f"{name}: {answer.word}"
        refused += answer.status == Status.BAD_DATA
        if len(data) < 10_000 and len(data) > 0:
            wrapped = aes_key_wrap_with_padding(kek, data)
            body = packed([wrapping, CKM_AES_KEY_WRAP_KWP, None, wrapped, copy, key_type.name, "", usage])
            assert desk.ask(Opcode.UNWRAP_KEY, body).status == answer.status, name
        if answer.status == Status.OK:
            for one in desk.ask_all(list(uses_of(key_type, key_id))):
                assert one.status in ANSWERS, f"{name}: {one.word}"
        assert desk.internal_errors == 0, name
    assert refused > 5
    count("hostile key materials refused by a node", refused)
