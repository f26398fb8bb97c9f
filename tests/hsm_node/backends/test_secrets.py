"""What a secret key's bytes must be like."""

import pytest

from hsm_node.backends.secrets import check_secret
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES


@pytest.mark.parametrize(("name", "length"), [("aes-128", 16), ("aes-256", 32), ("hmac-256", 20), ("secret-256", 22)])
def test_right_lengths_are_taken(name: str, length: int) -> None:
    check_secret(KEY_TYPES[name], bytes(length))


@pytest.mark.parametrize(("name", "length"), [("aes-128", 32), ("aes-256", 0), ("hmac-256", 4), ("secret-256", 8)])
def test_wrong_lengths_are_refused(name: str, length: int) -> None:
    with pytest.raises(Refusal):
        check_secret(KEY_TYPES[name], bytes(length))
