"""The vectors, checked against an independent implementation."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from hsmctl.known_answers import VECTORS, Vector


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.key_type)
def test_the_answer_is_right(vector: Vector) -> None:
    if vector.mechanism == "hmac-sha256":
        assert hmac.new(vector.material, vector.data, hashlib.sha256).digest() == vector.answer
        return
    key = load_der_private_key(vector.material, None)
    assert isinstance(key, Ed25519PrivateKey)
    assert key.sign(vector.data) == vector.answer
