"""What is derived from one master key."""

import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from hsm_node.core.derived_keys import FINGERPRINT_BYTES, IV_BYTES, DerivedKeys, derive

KEY = bytes(range(32))


def test_the_fingerprint_tells_master_keys_apart_and_nothing_else_is_shown() -> None:
    keys = DerivedKeys(KEY)
    assert len(keys.fingerprint) == FINGERPRINT_BYTES
    assert keys.fingerprint == DerivedKeys(KEY).fingerprint != DerivedKeys(bytes(32)).fingerprint
    assert repr(keys) == f"DerivedKeys({keys.fingerprint.hex()}, <secret>)"


def test_stores_of_earlier_versions_stay_readable() -> None:
    # The derivation is a format: another purpose or salt, and no store opens any more.
    assert derive(KEY, b"kek").hex() == "2316f6b34720243b8b2f0c93a986da4ee40dbd50886e8b54cddea308173f6a0a"
    assert DerivedKeys(KEY).mac(b"").hex() == "acc0163e7f047be15884974a41dcf7ab76617b803bcce06eb694a01001db37d1"


def test_a_body_is_its_iv_and_as_many_bytes_as_the_plaintext() -> None:
    keys, iv = DerivedKeys(KEY), b"i" * IV_BYTES
    body = keys.encrypt(b"plain", iv)
    assert (body[:IV_BYTES], len(body)) == (iv, IV_BYTES + 5)
    assert keys.decrypt(body) == b"plain"
    assert DerivedKeys(bytes(32)).decrypt(body) != b"plain"


def test_what_was_not_wrapped_here_does_not_open() -> None:
    with pytest.raises(InvalidUnwrap):
        DerivedKeys(bytes(32)).unwrap(DerivedKeys(KEY).wrap(b"m"))


def test_a_master_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        DerivedKeys(b"short")
