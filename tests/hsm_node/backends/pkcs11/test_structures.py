"""The C types of PKCS#11: their layout is that of the standard on 64-bit Linux."""

import ctypes

import pytest

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11 import structures
from hsm_node.backends.pkcs11.structures import Attribute, attributes, mechanism
from hsm_wire import parameters as wire


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Attribute", 24),
        ("Mechanism", 24),
        ("MechanismInfo", 24),
        ("TokenInfo", 208),
        ("InitializeArguments", 48),
        ("PssParameters", 24),
        ("OaepParameters", 40),
        ("GcmParameters", 48),
        ("CtrParameters", 24),
    ],
)
def test_sizes_are_those_of_the_c_compiler(name: str, size: int) -> None:
    assert ctypes.sizeof(getattr(structures, name)) == size


def value_of(attribute: Attribute) -> bytes:
    return ctypes.string_at(attribute.value, attribute.length) if attribute.length else b""


def test_a_template_has_its_values_and_templates_within() -> None:
    inner = {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY, ck.CKA_SENSITIVE: True}
    array = attributes({ck.CKA_LABEL: b"label", ck.CKA_ID: b"", ck.CKA_WRAP: False, ck.CKA_UNWRAP_TEMPLATE: inner})
    label, empty, flag, template = array
    assert (label.type, value_of(label)) == (ck.CKA_LABEL, b"label")
    assert (empty.value, empty.length) == (None, 0)
    assert value_of(flag) == b"\0"
    assert template.length == 2 * ctypes.sizeof(Attribute)
    first = Attribute.from_address(template.value)
    assert (first.type, int.from_bytes(value_of(first), "little")) == (ck.CKA_CLASS, ck.CKO_PRIVATE_KEY)


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        (wire.PssParameters(0x250, 2, 32), 24),
        (wire.OaepParameters(0x250, 2, b"label"), 40),
        (wire.GcmParameters(bytes(12), b"aad"), 48),
        (wire.CtrParameters(128, bytes(16)), 24),
        (wire.IvParameters(bytes(16)), 16),
    ],
)
def test_parameters_of_the_wire_have_a_form_there(parameters: wire.Parameters, size: int) -> None:
    made = mechanism(0x1087, parameters)
    assert (made.number, made.length) == (0x1087, size)
    assert made.parameter


def test_no_parameters_are_none_and_unknown_ones_are_refused() -> None:
    assert (mechanism(1).parameter, mechanism(1).length) == (None, 0)
    with pytest.raises(TypeError, match="EddsaParameters"):
        mechanism(1, wire.EddsaParameters())
