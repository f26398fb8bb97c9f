"""What an object may be, and becomes."""

import datetime
import warnings
from collections.abc import Callable
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from hsm_node.core.lifecycle import Origin
from hsm_node.core.object_lifecycle import (
    check_new_object,
    check_value,
    destroyed_object,
    new_object,
    updated_object,
)
from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.refusal import Refusal
from hsm_wire.limits import MAX_OBJECT_BYTES
from hsm_wire.objects import KINDS, CreateObject, UpdateObject
from hsm_wire.statuses import Status

ORIGIN = Origin(b"c" * 16, 3, 7, 1000)
OBJECT = b"o" * 16
DER, INFO = Encoding.DER, PublicFormat.SubjectPublicKeyInfo


@cache
def certificate(serial: int = 5) -> bytes:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(serial).not_valid_before(now).not_valid_after(now)
    return builder.sign(key, hashes.SHA256()).public_bytes(DER)


@cache
def rsa_key() -> rsa.RSAPublicKey:
    return rsa.generate_private_key(65537, 2048).public_key()


def public_keys() -> list[bytes]:
    unknown = bytes.fromhex("300d 300506032a0304 030400616263")  # of an algorithm that nobody knows
    keys = (
        rsa_key(),
        ec.generate_private_key(ec.SECP521R1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
        x25519.X25519PrivateKey.generate().public_key(),
    )
    return [*(key.public_bytes(DER, INFO) for key in keys), unknown]


def refusal(work: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as refused:
        work()
    return refused.value


def made(kind: str = "data", value: bytes = b"v", label: str = "l") -> ObjectRecord:
    return new_object(CreateObject(OBJECT, kind, value, label), ORIGIN, b"d" * 32)


def test_what_is_of_its_kind_is_taken() -> None:
    check_value("certificate", certificate())
    for key in public_keys():
        check_value("public-key", key)
    for data in (b"", b"x", bytes(MAX_OBJECT_BYTES)):
        check_value("data", data)


def test_a_certificate_with_trailing_bytes_or_cut_or_doubled_or_in_pem_is_refused() -> None:
    good = certificate()
    pem = x509.load_der_x509_certificate(good).public_bytes(Encoding.PEM)
    for value in (b"", good + b"\0", good[:-1], good + good, pem, bytes(100), public_keys()[0], b"\x30\x80" + good):
        answer = refusal(lambda value=value: check_value("certificate", value))  # type: ignore[misc]  # mypy knows no type of a default
        assert answer.status is Status.BAD_REQUEST
        assert "one X.509 certificate in DER" in answer.detail


def test_a_certificate_of_no_version_is_refused_and_an_odd_one_is_taken_without_a_word() -> None:
    good = certificate()
    assert refusal(lambda: check_value("certificate", good.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05")))
    with warnings.catch_warnings(record=True) as said:
        check_value("certificate", good.replace(b"\x02\x01\x05", b"\x02\x01\xfb"))  # a serial number below 0
    assert said == []


def test_a_public_key_with_trailing_bytes_or_without_its_algorithm_is_refused() -> None:
    bare = rsa_key().public_bytes(DER, PublicFormat.PKCS1)
    pem = rsa_key().public_bytes(Encoding.PEM, INFO)
    short = bytes.fromhex("3003020101")
    off_curve = public_keys()[1][:-1] + b"\0"
    junk = (b"", b"\x30", b"\x30\x80", b"\x30\xff" + bytes(10), bytes(100), certificate(), short)
    trailing = [key + b"\0" for key in public_keys()]
    cut = [key[:-1] for key in public_keys()]
    for value in (bare, pem, off_curve, *junk, *trailing, *cut):
        answer = refusal(lambda value=value: check_value("public-key", value))  # type: ignore[misc]  # mypy knows no type of a default
        assert answer.status is Status.BAD_REQUEST
        assert "SubjectPublicKeyInfo" in answer.detail


def test_a_new_object_has_one_of_the_kinds_and_a_label_that_can_be_printed() -> None:
    check_new_object(CreateObject(OBJECT, "data", b"v", "label"))
    for kind in ("", "Data", "key"):
        answer = refusal(lambda kind=kind: check_new_object(CreateObject(OBJECT, kind, b"")))  # type: ignore[misc]  # mypy knows no type of a default
        assert answer.detail.endswith(", ".join(KINDS))
    assert refusal(lambda: check_new_object(CreateObject(OBJECT, "data", b"", "\x1b[2J"))).status is Status.BAD_REQUEST
    assert refusal(lambda: check_new_object(CreateObject(OBJECT, "certificate", b"x"))).status is Status.BAD_REQUEST


def test_the_first_version_says_where_and_when() -> None:
    record = made()
    assert (record.cluster_id, record.epoch, record.place, record.created) == (b"c" * 16, 3, (7, OBJECT), 1000)
    assert (record.version, record.order, record.destroyed, record.changes) == (1, 1, False, ())
    assert (record.kind, record.value, record.label, record.creation_digest) == ("data", b"v", "l", b"d" * 32)


def test_an_update_changes_what_it_names_and_nothing_else() -> None:
    record = made()
    renamed = updated_object(record, UpdateObject(OBJECT, label="new"), b"1")
    assert (renamed.label, renamed.value, renamed.version, renamed.order, renamed.changes) == (
        "new",
        b"v",
        2,
        2,
        (b"1",),
    )
    filled = updated_object(renamed, UpdateObject(OBJECT, 2, b"w"), b"2")
    assert (filled.label, filled.value, filled.version, filled.changes) == ("new", b"w", 3, (b"1", b"2"))
    emptied = updated_object(filled, UpdateObject(OBJECT, value=b"", label=""), b"3")
    assert (emptied.label, emptied.value) == ("", b"")


def test_an_update_is_held_to_the_version_the_kind_and_the_rule_for_labels() -> None:
    record = made("certificate", certificate())
    for update, status in (
        (UpdateObject(OBJECT, 2, label="x"), Status.KEY_CHANGED),
        (UpdateObject(OBJECT, value=b"no certificate"), Status.BAD_REQUEST),
        (UpdateObject(OBJECT, label="\n"), Status.BAD_REQUEST),
    ):
        assert refusal(lambda update=update: updated_object(record, update, b"m")).status is status  # type: ignore[misc]  # mypy knows no type of a default
    assert updated_object(record, UpdateObject(OBJECT, 1, certificate(6)), b"m").value == certificate(6)


def test_only_the_last_eight_changes_are_remembered() -> None:
    record = made()
    for number in range(10):
        record = updated_object(record, UpdateObject(OBJECT), bytes([number]))
    assert record.changes == tuple(bytes([number]) for number in range(2, 10))


def test_a_destroyed_object_has_no_value_and_no_label() -> None:
    record = destroyed_object(made(), b"m")
    assert (record.destroyed, record.value, record.label, record.version, record.changes) == (True, b"", "", 2, (b"m",))
