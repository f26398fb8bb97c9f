"""Every key that wraps with every key that is wrapped: which leaves under which, as the rules in words say."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from desk import Asked, Desk
from good_requests import good_parameters
from key_materials import SMALLEST, material
from key_rules import (
    FAR_AWAY,
    LONG_AGO,
    WRAPPING_ALIASES,
    Situation,
    families_of,
    wrap_refusals,
)
from keys_in_situations import KeysInSituations
from wire_values import packed

from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.mechanisms import MECHANISM_BY_ALIAS, MECHANISMS, Mechanism
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

WRAP: Final = Usage.WRAP | Usage.UNWRAP
EXPORTABLE: Final = PolicyFlag.EXPORTABLE
EVERY: Final = PolicyFlag(0x7F)
WRAPPING: Final = [
    Situation("imported", WRAP),
    Situation("generated", WRAP, imported=False),
    *(Situation(f"with {flag.name}", WRAP, flag, imported=False) for flag in EVERY & ~EXPORTABLE),
]
_PLAIN: Final = Situation("exportable", Usage(0), EXPORTABLE)
TARGETS: Final = [
    _PLAIN,
    replace(_PLAIN, name="not exportable", flags=PolicyFlag(0)),
    replace(_PLAIN, name="with every flag", flags=EVERY),
    *(replace(_PLAIN, name=f"with every flag but {flag.name}", flags=EVERY & ~flag) for flag in EVERY),
    replace(_PLAIN, name="not yet", not_before=FAR_AWAY),
    replace(_PLAIN, name="no longer", not_after=LONG_AGO),
    *(replace(_PLAIN, name=became, became=became) for became in ("disabled", "scheduled", "destroyed", "rotated")),
    replace(_PLAIN, name="absent", became="absent"),
]
ORIGINS: Final = [replace(_PLAIN, name="generated here", imported=False), replace(_PLAIN, name="imported")]
OAEP_ROOM: Final = 384 - 2 * 32 - 2
"""Bytes that RSA-3072 takes with SHA-256 (RFC 8017, 7.1.1)."""
WRAPPING_TYPES: Final = {Family.AES: ("aes-128", "aes-192", "aes-256"), Family.RSA: ("rsa-3072",)}
TYPES: Final = ["aes-128", "aes-192", "aes-256", *(SMALLEST[family] for family in Family if family is not Family.AES)]
STRONGER: Final = ["ec-p521", "ed448", "ml-dsa-87", "ml-kem-1024", "hmac-512"]


@pytest.fixture(scope="module")
def keys(desk: Desk) -> KeysInSituations:
    return KeysInSituations(desk.ask)


def pairs() -> list[tuple[Mechanism, str]]:
    """Return (mechanism, type of the wrapping key)."""
    found = [MECHANISM_BY_ALIAS[alias] for alias in sorted(WRAPPING_ALIASES)]
    return [(row, name) for row in found for family in families_of(row) for name in WRAPPING_TYPES[family]]


def room(mechanism: Mechanism, target_type: str) -> set[Status]:
    """Return what comes of a wrapping that is allowed: it may not fit."""
    length = len(material(target_type))
    if mechanism.alias == "rsa-oaep" and length > OAEP_ROOM:
        return {Status.BAD_DATA}
    if mechanism.alias == "aes-kw" and not KEY_TYPES[target_type].symmetric:
        return {Status.OK, Status.BAD_DATA}  # whole units of 8 bytes, which PKCS#8 is by chance
    return {Status.OK}


@pytest.mark.parametrize(("mechanism", "wrapping_type"), pairs(), ids=lambda value: getattr(value, "alias", value))
def test_a_key_leaves_only_under_a_key_that_is_worth_it(
    desk: Desk, keys: KeysInSituations, count: Callable[[str, int], None], mechanism: Mechanism, wrapping_type: str
) -> None:
    table = [
        *((WRAPPING[1], name, row) for name in (*TYPES, *STRONGER) for row in (*ORIGINS, TARGETS[1])),
        *((wrapping, "aes-128", row) for wrapping in WRAPPING for row in (*TARGETS, *ORIGINS)),
    ]
    parameters = good_parameters(mechanism, Usage.WRAP, KEY_TYPES[wrapping_type].family)
    asked, expected = [], []
    for wrapping, target_type, target in table:
        target = replace(target, usage=KEY_TYPES[target_type].default_usages)
        fields: list[Any] = [keys.key(wrapping_type, wrapping), mechanism.number, parameters]
        asked.append(Asked(Opcode.WRAP_KEY, packed([*fields, keys.key(target_type, target)])))
        refused = wrap_refusals(wrapping_type, wrapping, target_type, target, int(time.time()))
        expected.append(refused or room(mechanism, target_type))
    wrong = [
        f"{target_type} {target.name} by {wrapping.name}: {answer.word}, not {right}"
        for (wrapping, target_type, target), answer, right in zip(table, desk.ask_all(asked), expected, strict=True)
        if answer.status not in right
    ]
    assert not wrong, "\n".join(wrong)
    allowed = sum(Status.OK in right for right in expected)
    assert allowed
    count("rows of the matrix of wrapping: allowed", allowed)
    count("rows of the matrix of wrapping: refused", len(expected) - allowed)


@pytest.mark.parametrize("opcode", [Opcode.WRAP_KEY, Opcode.UNWRAP_KEY], ids=lambda opcode: opcode.name.lower())
def test_nothing_else_wraps_or_unwraps(
    desk: Desk, keys: KeysInSituations, count: Callable[[str, int], None], opcode: Opcode
) -> None:
    key, target = keys.key("aes-256", WRAPPING[1]), keys.key("aes-128", ORIGINS[0])
    ecb, cbc_encrypt_data = 0x1081, 0x1105
    others = [number for number, row in MECHANISMS.items() if row.alias not in WRAPPING_ALIASES]
    for number in (*others, ecb, cbc_encrypt_data):
        rest = [target] if opcode is Opcode.WRAP_KEY else [bytes(32), os.urandom(16), "aes-128"]
        answer = desk.ask(opcode, packed([key, number, None, *rest]))
        assert answer.status == Status.UNKNOWN_MECHANISM, (hex(number), answer.word)
    count("rows of the matrix of wrapping: refused", len(others) + 2)
