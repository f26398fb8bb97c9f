"""The outer form of every row."""

import msgspec
import pytest

from hsm_node.core.envelopes import (
    Reason,
    RecordError,
    Unsealed,
    authenticated,
    check_place,
    format_of,
    open_envelope,
    seal,
    seal_envelope,
)
from hsm_node.core.keyring import Keyring

PREFIXES = {1: b"one", 2: b"two"}


def test_an_envelope_opens_as_what_it_was_sealed_as(keyring: Keyring) -> None:
    data = seal_envelope(2, b"two", b"body", keyring)
    assert open_envelope(PREFIXES, data, keyring) == (2, b"body", 1)
    assert (format_of(data), format_of(b"nonsense")) == (2, 0)


def test_a_row_is_not_passed_off_as_one_of_another_format(keyring: Keyring) -> None:
    number, body, mac = msgspec.msgpack.decode(seal_envelope(2, b"two", b"body", keyring))
    assert number == 2
    with pytest.raises(RecordError) as refused:
        open_envelope(PREFIXES, msgspec.msgpack.encode([1, body, mac]), keyring)
    assert refused.value.reason is Reason.CHANGED


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", Reason.MALFORMED), (b"\x93\x01", Reason.MALFORMED), (b"\x93\x09\xc4\x00\xc4\x00", Reason.FORMAT)],
)
def test_what_is_no_envelope_of_ours_is_refused(keyring: Keyring, data: bytes, reason: Reason) -> None:
    with pytest.raises(RecordError) as refused:
        open_envelope(PREFIXES, data, keyring)
    assert refused.value.reason is reason


@pytest.mark.parametrize("data", [b"", b"\x93", b"\x92\x02", b"\x93\xcd\x01\x00", b"\x93\xc4"])
def test_what_is_no_envelope_has_no_format(data: bytes) -> None:
    assert format_of(data) == 0


@pytest.mark.parametrize(
    ("found", "reason"), [((b"other", b"name"), Reason.CLUSTER), ((b"cluster", b"another name"), Reason.MOVED)]
)
def test_a_record_that_is_not_where_it_belongs_is_refused(found: tuple[bytes, bytes], reason: Reason) -> None:
    check_place(b"cluster", b"cluster", b"name", b"name")
    with pytest.raises(RecordError) as refused:
        check_place(found[0], b"cluster", found[1], b"name")
    assert refused.value.reason is reason


def test_the_mac_goes_over_what_it_is_said_to(keyring: Keyring) -> None:
    data = seal_envelope(2, b"two", b"body", keyring)
    assert authenticated({2: b"two"}, data) == b"twobody"
    assert authenticated({3: b"three"}, data) == b""
    assert authenticated({2: b"two"}, b"no row") == b""


def test_it_is_sealed_under_the_master_key_that_it_was_encrypted_under(keyring: Keyring) -> None:
    unsealed = Unsealed(2, b"two", b"body", keyring.version)
    keyring.hold(bytes(range(1, 33)), keyring.version + 1)
    keyring.use(keyring.version + 1)
    assert open_envelope({2: b"two"}, seal(unsealed, keyring), keyring).version == unsealed.version
