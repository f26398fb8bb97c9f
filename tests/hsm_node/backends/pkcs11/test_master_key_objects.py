"""The parts of a master key in a token, and what somebody with the PIN tries with them: nothing comes out."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from softhsm import MASTER_KEY_LABEL, PIN, WRAP_MECHANISM
from softhsm import __file__ as softhsm_file

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11 import key_templates
from hsm_node.backends.pkcs11.master_key_objects import Part, part_label, part_template, part_values
from hsm_node.backends.pkcs11.module import DeviceError, Module
from hsm_node.backends.pkcs11.structures import Template, mechanism
from hsm_node.core.derived_keys import DerivedKeys
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import CKM_AES_CBC
from hsm_wire.parameters import IvParameters

MASTER_KEY = bytes(range(32))
FIND = f"""
from softhsm import MODULE
from hsm_node.backends.pkcs11 import cryptoki
from hsm_node.backends.pkcs11.module import Module
module = Module(MODULE)
[slot] = [slot for slot in module.slots() if module.token(slot).label == "one"]
session = module.open_session(slot)
module.login(session, {PIN!r}.encode())
print(module.find(session, {{cryptoki.CKA_LABEL: b"at work"}}))
"""
KWP = mechanism(WRAP_MECHANISM)
KNOWN = b"k" * 32
KINDS = {Part.PRIVATE_KEK: "ec-p256", Part.AES_KEK: "aes-256", Part.SECRET_KEK: "hmac-256"}
KEKS = list(KINDS)
HIDDEN = [*KEKS, Part.MAC]
CKK_DES = 0x13


class Attacker(NamedTuple):
    """Somebody with the PIN, in a session of his own, with a wrapped key of each kind from the store."""

    module: Module
    session: int
    wrapped: dict[Part, bytes]

    def part(self, part: Part) -> int:
        [handle] = self.module.find(self.session, {ck.CKA_LABEL: part_label(MASTER_KEY_LABEL, part)})
        return handle

    def unwrap(self, part: Part, key_type: str, template: Template) -> int:
        kind = key_templates.unwrapped(KEY_TYPES[key_type])
        return self.module.unwrap(self.session, KWP, self.part(part), self.wrapped[part], {**kind, **template})

    def own_key(self) -> int:
        own = {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_AES, ck.CKA_VALUE: KNOWN}
        return self.module.create(self.session, {**own, ck.CKA_TOKEN: False, ck.CKA_WRAP: True, ck.CKA_DECRYPT: True})


@pytest.fixture(params=["one", "joined"])
def attacker(request: pytest.FixtureRequest, module: Module, slot_of: Callable[[str], int]) -> Iterator[Attacker]:
    """At a token whose master key was brought in clear, and at one that made its own by the ceremony."""
    session = module.open_session(slot_of(request.param), writing=True)
    module.login(session, PIN.encode())
    made = Attacker(module, session, {})
    for part, key_type in KINDS.items():
        row = KEY_TYPES[key_type]
        if row.symmetric:
            key = module.generate(session, key_templates.generation(row), key_templates.generated(row))
        else:
            templates = key_templates.generated_public(row), key_templates.generated(row)
            _, key = module.generate_pair(session, key_templates.generation(row), *templates)
        made.wrapped[part] = module.wrap(session, KWP, made.part(part), key)
        module.destroy(session, key)
    yield made
    module.close_session(session)


@pytest.mark.parametrize("part", KEKS)
def test_the_right_use_works(attacker: Attacker, part: Part) -> None:
    assert attacker.unwrap(part, KINDS[part], {}) > 0


@pytest.mark.parametrize("part", HIDDEN)
@pytest.mark.parametrize(
    "use", [ck.CKA_DECRYPT, ck.CKA_ENCRYPT, ck.CKA_DERIVE, ck.CKA_TRUSTED, ck.CKA_EXTRACTABLE, ck.CKA_SENSITIVE]
)
def test_no_attribute_of_kek_or_mac_key_can_be_changed_and_no_copy_made_with_others(
    attacker: Attacker, part: Part, use: int
) -> None:
    template: Template = {use: use != ck.CKA_SENSITIVE}
    with pytest.raises(DeviceError):
        attacker.module.change(attacker.session, attacker.part(part), template)
    with pytest.raises(DeviceError):
        attacker.module.copy(attacker.session, attacker.part(part), template)


@pytest.mark.parametrize("part", KEKS)
def test_a_kek_encrypts_and_decrypts_nothing(attacker: Attacker, part: Part) -> None:
    """A KEK that decrypts gives every key away, and one that encrypts has others take a key of the attacker's."""
    made = mechanism(CKM_AES_CBC, IvParameters(bytes(16)))
    for use in (attacker.module.encrypt, attacker.module.decrypt):
        with pytest.raises(DeviceError, match="FUNCTION_NOT_PERMITTED"):
            use(attacker.session, made, attacker.part(part), attacker.wrapped[part], 200)


@pytest.mark.parametrize("part", HIDDEN)
def test_neither_kek_nor_mac_key_is_read_or_wrapped(attacker: Attacker, part: Part) -> None:
    with pytest.raises(DeviceError, match="SENSITIVE"):
        attacker.module.attribute(attacker.session, attacker.part(part), ck.CKA_VALUE)
    with pytest.raises(DeviceError):
        attacker.module.wrap(attacker.session, KWP, attacker.own_key(), attacker.part(part))


@pytest.mark.parametrize("part", KEKS)
@pytest.mark.parametrize(
    "wanted",
    [
        {ck.CKA_EXTRACTABLE: True},
        {ck.CKA_SENSITIVE: False},
        {ck.CKA_SENSITIVE: False, ck.CKA_EXTRACTABLE: True},
    ],
)
def test_a_key_is_not_unwrapped_as_one_that_can_leave(attacker: Attacker, part: Part, wanted: Template) -> None:
    with pytest.raises(DeviceError, match="TEMPLATE_INCONSISTENT"):
        attacker.unwrap(part, KINDS[part], wanted)


def test_a_private_key_is_not_unwrapped_as_a_secret_one_that_can_be_read(attacker: Attacker) -> None:
    """By either KEK: they have one value."""
    secret = {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET, ck.CKA_TOKEN: False}
    for part in KEKS:
        for hidden in ({ck.CKA_SENSITIVE: False}, {ck.CKA_SENSITIVE: True, ck.CKA_EXTRACTABLE: True}):
            with pytest.raises(DeviceError, match="TEMPLATE_INCONSISTENT"):
                attacker.module.unwrap(
                    attacker.session, KWP, attacker.part(part), attacker.wrapped[Part.PRIVATE_KEK], {**secret, **hidden}
                )


@pytest.mark.parametrize(
    "weaker",
    [
        {ck.CKA_VALUE_LEN: 8},
        {ck.CKA_KEY_TYPE: CKK_DES},
        {ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET, ck.CKA_VALUE_LEN: 1},
        {ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET, ck.CKA_DERIVE: True},
    ],
)
@pytest.mark.parametrize("part", [Part.AES_KEK, Part.SECRET_KEK])
def test_a_key_is_not_unwrapped_as_one_that_can_be_guessed(attacker: Attacker, part: Part, weaker: Template) -> None:
    """Shorter, or one of which shorter ones are derived (CKM_EXTRACT_KEY_FROM_KEY): each piece is found by trying."""
    template = {**key_templates.unwrapped(KEY_TYPES[KINDS[part]]), **weaker}
    with pytest.raises(DeviceError):
        attacker.module.unwrap(attacker.session, KWP, attacker.part(part), attacker.wrapped[Part.AES_KEK], template)


def test_nobody_with_the_pin_makes_a_key_that_counts_as_trusted(attacker: Attacker) -> None:
    with pytest.raises(DeviceError):
        attacker.module.change(attacker.session, attacker.own_key(), {ck.CKA_TRUSTED: True})


def test_another_process_sees_no_key_that_a_node_has_at_work(attacker: Attacker) -> None:
    attacker.unwrap(Part.AES_KEK, "aes-256", {ck.CKA_LABEL: b"at work"})
    assert attacker.module.find(attacker.session, {ck.CKA_LABEL: b"at work"})
    environment = {**os.environ, "PYTHONPATH": str(Path(softhsm_file).parent)}
    command = [sys.executable, "-c", FIND]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout.strip() == "[]", found.stderr


@pytest.mark.parametrize("part", KEKS)
def test_what_a_node_has_unwrapped_is_not_wrapped_again(attacker: Attacker, part: Part) -> None:
    key = attacker.unwrap(part, KINDS[part], {})
    for wrapping in (attacker.own_key(), *map(attacker.part, KEKS)):
        with pytest.raises(DeviceError, match="UNEXTRACTABLE"):
            attacker.module.wrap(attacker.session, KWP, wrapping, key)
    for change in ({ck.CKA_EXTRACTABLE: True}, {ck.CKA_SENSITIVE: False}):
        with pytest.raises(DeviceError):
            attacker.module.change(attacker.session, key, change)
        with pytest.raises(DeviceError):
            attacker.module.copy(attacker.session, key, change)


@pytest.mark.parametrize("attacker", ["one"], indirect=True)
@pytest.mark.parametrize("fixed", [{}, {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY, ck.CKA_SENSITIVE: True}])
def test_without_extractable_in_its_template_a_kek_gives_keys_away(attacker: Attacker, fixed: Template) -> None:
    """Why the template says more than class and sensitive: this is what an attack looks like that succeeds."""
    values = part_values(MASTER_KEY)
    template = dict(part_template("weak", Part.PRIVATE_KEK, values[Part.PRIVATE_KEK]))
    del template[ck.CKA_UNWRAP_TEMPLATE]
    weak = attacker.module.create(
        attacker.session, {**template, ck.CKA_TOKEN: False, **({ck.CKA_UNWRAP_TEMPLATE: fixed} if fixed else {})}
    )
    kind = {**key_templates.unwrapped(KEY_TYPES["ec-p256"]), ck.CKA_EXTRACTABLE: True}
    key = attacker.module.unwrap(attacker.session, KWP, weak, attacker.wrapped[Part.PRIVATE_KEK], kind)
    stolen = attacker.module.wrap(attacker.session, KWP, attacker.own_key(), key)
    assert aes_key_unwrap_with_padding(KNOWN, stolen)[:1] == b"\x30"


def test_the_parts_are_those_of_a_node_in_software() -> None:
    values = part_values(MASTER_KEY)
    keys = DerivedKeys(MASTER_KEY)
    assert values[Part.PRIVATE_KEK] == values[Part.AES_KEK] == values[Part.SECRET_KEK]
    assert aes_key_unwrap_with_padding(values[Part.SECRET_KEK], keys.wrap(b"material")) == b"material"
    assert values[Part.ATTRIBUTES].endswith(keys.fingerprint)
    assert len({*values.values()}) == 3
