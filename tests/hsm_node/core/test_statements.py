"""Rows by which nodes tell each other something: only a node's own words count, and only where it has put them."""

import hmac

import msgspec
import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.core.statements import Confirmation, Registration, Seal, Word

CLUSTER = b"c" * 16
BOOT = b"b" * 16


@pytest.fixture
def seal(keyring: Keyring) -> Seal:
    return Seal(keyring.told_mac, CLUSTER)


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("nodes/node-1", Registration(BOOT, 7, stopped=True)),
        ("confirmed/node-1", Confirmation(BOOT, 9)),
        ("wanted", Word(b"")),
    ],
)
def test_what_a_node_says_is_read_as_it_was_said(
    seal: Seal, path: str, statement: Registration | Confirmation | Word
) -> None:
    assert seal.open(path, seal.make(path, statement), type(statement)) == statement


def test_it_counts_in_its_place_and_store_only(seal: Seal, keyring: Keyring) -> None:
    data = seal.make("confirmed/node-1", Confirmation(BOOT, 9))
    assert seal.open("confirmed/node-2", data, Confirmation) is None
    assert seal.open("nodes/node-1", data, Registration) is None
    assert Seal(keyring.told_mac, b"d" * 16).open("confirmed/node-1", data, Confirmation) is None


def test_with_the_keys_of_another_store_nothing_can_be_said(seal: Seal) -> None:
    other = Keyring(b"m" * 32)
    other.make_store_keys()
    forged = Seal(other.told_mac, CLUSTER).make("confirmed/node-1", Confirmation(BOOT, 9))
    assert seal.open("confirmed/node-1", forged, Confirmation) is None


def test_what_was_changed_or_is_no_statement_does_not_open(seal: Seal) -> None:
    path = "confirmed/node-1"
    data = seal.make(path, Confirmation(BOOT, 9))
    for at in range(len(data)):
        for bit in range(8):
            assert seal.open(path, data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :], Confirmation) is None
    for wrong in (b"", b"\xff", data[:-1], data + b"\0", msgspec.msgpack.encode(Confirmation(BOOT, 9))):
        assert seal.open(path, wrong, Confirmation) is None


def test_a_statement_of_another_kind_is_none_even_if_it_is_authentic(seal: Seal) -> None:
    assert seal.open("nodes/node-1", seal.make("nodes/node-1", Confirmation(BOOT, 9)), Confirmation) is not None
    assert seal.open("confirmed/n", seal.make("confirmed/n", Word(BOOT)), Confirmation) is None


def test_a_rotation_of_the_master_key_changes_nothing(keyring: Keyring) -> None:
    data = Seal(keyring.told_mac, CLUSTER).make("wanted", Word(BOOT))
    keyring.hold(b"n" * 32, keyring.version + 1)
    keyring.use(keyring.version + 1)
    assert Seal(keyring.told_mac, CLUSTER).open("wanted", data, Word) == Word(BOOT)


def test_it_does_not_show_its_key() -> None:
    assert repr(Seal(lambda message: hmac.digest(b"k", message, "sha256"), CLUSTER)) == "Seal(<secret>)"
