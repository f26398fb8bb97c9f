import pytest

from hsm_node.core.keyring import Keyring, KeyringError


def test_wrapped_material_opens_and_does_not_show_it(keyring: Keyring) -> None:
    wrapped = keyring.wrap(b"secret material 123")
    assert b"secret" not in wrapped
    assert keyring.unwrap(wrapped, 19) == b"secret material 123"


def test_changed_material_and_a_wrong_length_are_refused(keyring: Keyring, other_keyring: Keyring) -> None:
    wrapped = keyring.wrap(b"secret material 123")
    for bad, length in ((wrapped[:-1] + bytes([wrapped[-1] ^ 1]), 19), (wrapped, 18), (b"", 0), (wrapped[:8], 8)):
        with pytest.raises(KeyringError):
            keyring.unwrap(bad, length)
    with pytest.raises(KeyringError):
        other_keyring.unwrap(wrapped, 19)


def test_each_purpose_has_a_key_of_its_own(keyring: Keyring) -> None:
    outputs = {
        keyring.mac(b""),
        keyring.name(0, b""),
        keyring.request_digest(0, 0, b""),
        keyring.change_mark(0, 0, b""),
    }
    assert len(outputs) == 4


def test_names_differ_by_partition_and_id_and_by_master_key(keyring: Keyring, other_keyring: Keyring) -> None:
    names = {
        keyring.name(1, b"a" * 16),
        keyring.name(2, b"a" * 16),
        keyring.name(1, b"b" * 16),
        other_keyring.name(1, b"a" * 16),
    }
    assert len(names) == 4


def test_macs_are_compared(keyring: Keyring) -> None:
    assert keyring.mac_matches(b"x", keyring.mac(b"x"))
    assert not keyring.mac_matches(b"x", keyring.mac(b"y"))


def test_repr_shows_no_secret_and_a_short_master_key_is_refused(keyring: Keyring) -> None:
    assert repr(keyring) == "Keyring(<secret>)"
    with pytest.raises(ValueError, match="32 bytes"):
        Keyring(b"short")
