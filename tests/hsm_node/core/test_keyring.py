import pytest

from hsm_node.core.attribute_key import AttributeKey
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


def test_a_second_master_key_opens_and_seals_only_when_it_is_told_to(keyring: Keyring) -> None:
    wrapped, mac = keyring.wrap(b"m"), keyring.mac(b"x")
    keyring.hold(b"2" * 32, 2)
    assert (keyring.version, keyring.versions, keyring.mac(b"x")) == (1, [1, 2], mac)
    keyring.use(2)
    assert keyring.mac(b"x") != mac
    assert (keyring.mac_version(b"x", mac), keyring.mac_version(b"x", keyring.mac(b"x"))) == (1, 2)
    assert keyring.unwrap(wrapped, 1) == keyring.unwrap(wrapped, 1, 1) == b"m"
    for version in (2, 3):
        with pytest.raises(KeyringError):
            keyring.unwrap(wrapped, 1, version)
    keyring.drop(1)
    with pytest.raises(KeyringError):
        keyring.unwrap(wrapped, 1)
    assert keyring.mac_version(b"x", mac) == 0


def test_what_cannot_be_held_used_or_dropped_is_refused(keyring: Keyring) -> None:
    keyring.hold(b"2" * 32, 2)
    with pytest.raises(ValueError, match="at most 2"):
        keyring.hold(b"3" * 32, 3)
    with pytest.raises(ValueError, match="in use"):
        keyring.drop(1)
    with pytest.raises(KeyringError, match="version 3 is not held"):
        keyring.use(3)


def test_the_store_says_which_version_a_master_key_is(keyring: Keyring) -> None:
    wrapped = keyring.wrap(b"m")
    keyring.hold(b"2" * 32, 2)
    keyring.renumber(1, 7)
    assert (keyring.version, keyring.versions) == (7, [7, 8])
    assert keyring.unwrap(wrapped, 1, 7) == b"m"


def test_names_and_digests_stay_when_the_master_key_changes(keyring: Keyring) -> None:
    keyring.make_store_keys()
    said = [keyring.name(1, b"a"), keyring.request_digest(1, 1, b""), keyring.ledger_mac(b"")]
    keyring.hold(b"2" * 32, 2)
    keyring.use(2)
    wrapped = keyring.wrapped_store_keys()
    successor = Keyring(b"2" * 32)
    assert successor.name(1, b"a") != said[0]
    successor.open_store(*wrapped, 1)
    assert [successor.name(1, b"a"), successor.request_digest(1, 1, b""), successor.ledger_mac(b"")] == said


def test_store_keys_of_another_master_key_are_refused(keyring: Keyring, other_keyring: Keyring) -> None:
    with pytest.raises(KeyringError):
        keyring.open_store(*other_keyring.wrapped_store_keys(), 1)


def test_encrypted_attributes_open_under_the_master_key_that_made_them(keyring: Keyring) -> None:
    body = keyring.encrypt(b"attributes")
    assert b"attributes" not in body
    assert keyring.encrypt(b"attributes") != body
    assert keyring.decrypt(body, 1) == b"attributes"


def test_a_thread_that_compares_is_not_disturbed_when_a_master_key_is_forgotten(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.hold(b"2" * 32, 2)

    def compare(_one: bytes, _other: bytes) -> bool:
        keyring.drop(2)
        return False

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert keyring.mac_version(b"message", b"mac") == 0
    assert keyring.versions == [1]


class InDevice:
    """Stands for a master key that nothing of comes out but its attribute key."""

    fingerprint = b"f" * 8

    def __init__(self) -> None:
        self.attributes = AttributeKey(b"a" * 32)

    def mac(self, message: bytes) -> bytes:
        return message[::-1]

    def unwrap_store_key(self, wrapped: bytes) -> bytes:
        return self.attributes.unwrap_store_key(wrapped)


def test_a_master_key_in_a_device_authenticates_and_names_and_gives_no_material() -> None:
    keyring = Keyring(InDevice())
    assert keyring.mac_matches(b"ab", b"ba")
    assert keyring.decrypt(keyring.encrypt(b"label"), 1) == b"label"
    other = Keyring(InDevice())
    assert other.name(1, b"a") != keyring.name(1, b"a")
    other.open_store(*keyring.wrapped_store_keys(), 1)
    assert other.name(1, b"a") == keyring.name(1, b"a")
    for work in (lambda: keyring.wrap(b"m"), lambda: keyring.unwrap(bytes(40), 32)):
        with pytest.raises(KeyringError, match="in a device"):
            work()


def test_material_of_no_stated_length_is_one_der_element(keyring: Keyring) -> None:
    assert keyring.unwrap(keyring.wrap(b"\x30\x02ab" + bytes(4)), 0) == b"\x30\x02ab"
    for other in (b"\x30\x02abc", b"m" * 32):
        with pytest.raises(KeyringError, match="does not open"):
            keyring.unwrap(keyring.wrap(other), 0)


def test_what_is_wrapped_again_is_under_the_master_key_in_use(keyring: Keyring) -> None:
    wrapped = keyring.wrap(b"m" * 32)
    keyring.hold(b"2" * 32, 2)
    keyring.use(2)
    assert keyring.unwrap(keyring.rewrap(wrapped, 32), 32, 2) == b"m" * 32
