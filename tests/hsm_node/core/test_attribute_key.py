"""What hides what records say."""

import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from hsm_node.core.attribute_key import IV_BYTES, AttributeKey, derive

KEY = bytes(range(32))


def test_a_body_is_its_iv_and_as_many_bytes_as_the_plaintext() -> None:
    key, iv = AttributeKey(KEY), b"i" * IV_BYTES
    body = key.encrypt(b"plain", iv)
    assert (body[:IV_BYTES], len(body)) == (iv, IV_BYTES + 5)
    assert key.decrypt(body) == b"plain"
    assert AttributeKey(bytes(32)).decrypt(body) != b"plain"


def test_a_store_key_is_wrapped_by_a_key_of_its_own() -> None:
    wrapped = AttributeKey(KEY).wrap_store_key(b"n" * 32)
    assert AttributeKey(KEY).unwrap_store_key(wrapped) == b"n" * 32
    with pytest.raises(InvalidUnwrap):
        AttributeKey(bytes(32)).unwrap_store_key(wrapped)
    # The derivation is a format: with another purpose no store opens any more.
    assert derive(KEY, b"store keys").hex() == "c88dfc9c4de6359d08c31526690873e7367cd0b918ec88309c69e10e3a148697"


def test_it_is_not_shown_and_has_one_length() -> None:
    assert repr(AttributeKey(KEY)) == "AttributeKey(<secret>)"
    with pytest.raises(ValueError, match="32 bytes"):
        AttributeKey(b"short")
