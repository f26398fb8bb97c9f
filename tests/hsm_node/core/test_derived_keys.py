"""What is derived from one master key."""

import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from hsm_node.core.attribute_key import derive
from hsm_node.core.derived_keys import FINGERPRINT_BYTES, DerivedKeys

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


def test_what_was_not_wrapped_here_does_not_open() -> None:
    with pytest.raises(InvalidUnwrap):
        DerivedKeys(bytes(32)).unwrap(DerivedKeys(KEY).wrap(b"m"))


def test_a_master_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        DerivedKeys(b"short")


def test_the_store_keys_of_version_0_1_open_and_so_do_those_of_now() -> None:
    keys = DerivedKeys(KEY)
    assert keys.unwrap_store_key(keys.wrap(b"n" * 32)) == b"n" * 32
    assert keys.unwrap_store_key(keys.attributes.wrap_store_key(b"n" * 32)) == b"n" * 32
    for length in (0, 7, 40):
        with pytest.raises((InvalidUnwrap, ValueError)):
            keys.unwrap_store_key(bytes(length))
