"""What the device is told of a key."""

import pytest

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11 import key_templates
from hsm_wire.key_types import KEY_TYPES, KeyType

KEPT = [row for row in KEY_TYPES.values() if row.family in key_templates.FAMILIES]


@pytest.mark.parametrize("row", KEPT, ids=lambda row: row.name)
def test_a_key_can_leave_only_between_generation_and_wrapping(row: KeyType) -> None:
    for template, extractable in (
        (key_templates.unwrapped(row), False),
        (key_templates.taken(row), True),
        (key_templates.generated(row), True),
    ):
        assert template[ck.CKA_EXTRACTABLE] is extractable
        assert template[ck.CKA_SENSITIVE] is True
        assert template[ck.CKA_TOKEN] is False
        assert ck.CKA_WRAP not in template
        assert ck.CKA_UNWRAP not in template


@pytest.mark.parametrize("row", KEPT, ids=lambda row: row.name)
def test_every_kept_type_has_what_makes_it(row: KeyType) -> None:
    assert key_templates.generation(row).length == 0
    if row.symmetric:
        assert key_templates.generated(row)[ck.CKA_VALUE_LEN] == row.size // 8
    else:
        assert {ck.CKA_EC_PARAMS, ck.CKA_MODULUS_BITS} & set(key_templates.generated_public(row))
