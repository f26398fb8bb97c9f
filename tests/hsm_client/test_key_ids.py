"""UUIDv7."""

import uuid

import pytest

from hsm_client.errors import BadRequest
from hsm_client.key_ids import chosen_key_id, make_uuid7, maybe_key_id, new_key_id, new_operation_id


def test_the_example_of_rfc_9562_comes_out():
    random_bits = 0xCC3 << 62 | 0x18C4DC0C0C07398F
    assert str(uuid.UUID(bytes=make_uuid7(0x017F22E279B0, random_bits))) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_only_32_hex_digits_are_an_id():
    key_id = new_key_id()
    assert maybe_key_id(key_id.hex()) == key_id
    assert maybe_key_id("label") is maybe_key_id("g" * 32) is None
    assert new_operation_id() > 0


def test_a_key_id_is_chosen_by_the_caller_or_fresh_and_what_is_none_is_refused():
    key_id = new_key_id()
    assert chosen_key_id(key_id) == chosen_key_id(key_id.hex()) == key_id
    assert len(chosen_key_id(None)) == 16
    for wrong in ("label", b"short"):
        with pytest.raises(BadRequest):
            chosen_key_id(wrong)
