"""The parts of a master key in a token, and what somebody with the PIN tries with them: nothing comes out."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from softhsm import MASTER_KEY_LABEL, PIN, WRAP_MECHANISM

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
KWP = mechanism(WRAP_MECHANISM)
KNOWN = b"k" * 32
KEKS = [Part.PRIVATE_KEK, Part.SECRET_KEK]


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


@pytest.fixture
def attacker(module: Module, slot_of: Callable[[str], int]) -> Iterator[Attacker]:
    session = module.open_session(slot_of("one"), writing=True)
    module.login(session, PIN.encode())
    made = Attacker(module, session, {})
    for part, key_type in ((Part.PRIVATE_KEK, "ec-p256"), (Part.SECRET_KEK, "aes-256")):
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


def kind_of(part: Part) -> str:
    return "ec-p256" if part is Part.PRIVATE_KEK else "aes-256"


@pytest.mark.parametrize("part", KEKS)
def test_the_right_use_works(attacker: Attacker, part: Part) -> None:
    assert attacker.unwrap(part, kind_of(part), {}) > 0


@pytest.mark.parametrize("part", KEKS)
@pytest.mark.parametrize("use", [ck.CKA_DECRYPT, ck.CKA_ENCRYPT, ck.CKA_EXTRACTABLE, ck.CKA_SENSITIVE])
def test_no_attribute_of_a_kek_can_be_changed_and_no_copy_made_with_others(
    attacker: Attacker, part: Part, use: int
) -> None:
    template: Template = {use: use != ck.CKA_SENSITIVE}
    with pytest.raises(DeviceError):
        attacker.module.change(attacker.session, attacker.part(part), template)
    with pytest.raises(DeviceError):
        attacker.module.copy(attacker.session, attacker.part(part), template)


@pytest.mark.parametrize("part", KEKS)
def test_a_kek_decrypts_nothing(attacker: Attacker, part: Part) -> None:
    made = mechanism(CKM_AES_CBC, IvParameters(bytes(16)))
    with pytest.raises(DeviceError, match="FUNCTION_NOT_PERMITTED"):
        attacker.module.decrypt(attacker.session, made, attacker.part(part), attacker.wrapped[part], 200)


@pytest.mark.parametrize("part", [*KEKS, Part.MAC])
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
        attacker.unwrap(part, kind_of(part), wanted)


def test_a_private_key_is_not_unwrapped_as_a_secret_one_that_can_be_read(attacker: Attacker) -> None:
    """By either KEK: they have one value."""
    secret = {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET, ck.CKA_TOKEN: False}
    for part in KEKS:
        for hidden in ({ck.CKA_SENSITIVE: False}, {ck.CKA_SENSITIVE: True, ck.CKA_EXTRACTABLE: True}):
            with pytest.raises(DeviceError, match="TEMPLATE_INCONSISTENT"):
                attacker.module.unwrap(
                    attacker.session, KWP, attacker.part(part), attacker.wrapped[Part.PRIVATE_KEK], {**secret, **hidden}
                )


@pytest.mark.parametrize("part", KEKS)
def test_what_a_node_has_unwrapped_is_not_wrapped_again(attacker: Attacker, part: Part) -> None:
    key = attacker.unwrap(part, kind_of(part), {})
    for wrapping in (attacker.own_key(), attacker.part(Part.PRIVATE_KEK), attacker.part(Part.SECRET_KEK)):
        with pytest.raises(DeviceError, match="UNEXTRACTABLE"):
            attacker.module.wrap(attacker.session, KWP, wrapping, key)
    for change in ({ck.CKA_EXTRACTABLE: True}, {ck.CKA_SENSITIVE: False}):
        with pytest.raises(DeviceError):
            attacker.module.change(attacker.session, key, change)
        with pytest.raises(DeviceError):
            attacker.module.copy(attacker.session, key, change)


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
    assert values[Part.PRIVATE_KEK] == values[Part.SECRET_KEK]
    assert aes_key_unwrap_with_padding(values[Part.SECRET_KEK], keys.wrap(b"material")) == b"material"
    assert values[Part.ATTRIBUTES].endswith(keys.fingerprint)
    assert len({*values.values()}) == 3
