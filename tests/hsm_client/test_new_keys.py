"""What making any key takes."""

import pytest

from hsm_client.errors import BadRequest
from hsm_client.new_keys import key_fields
from hsm_wire.messages import Policy
from hsm_wire.usages import Usage


def test_what_is_left_out_is_the_default_and_the_id_is_fresh():
    first, second = key_fields({}), key_fields({"usage": None, "policy": None, "key_id": None})
    assert first[1:] == second[1:] == ("", 0, Policy())
    assert first.key_id != second.key_id


def test_what_is_named_is_taken():
    policy = Policy(max_uses=3)
    made = key_fields({"label": "l", "usage": Usage.SIGN, "policy": policy, "key_id": "00" * 16})
    assert made == (bytes(16), "l", 1, policy)


def test_a_wrong_id_is_refused():
    with pytest.raises(BadRequest, match="32 hex digits"):
        key_fields({"key_id": "label"})


def test_a_misspelt_argument_is_refused_not_ignored():
    with pytest.raises(TypeError, match="no argument 'polices'; a new key takes label, usage, policy, key_id"):
        key_fields({"polices": Policy(max_uses=3)})
