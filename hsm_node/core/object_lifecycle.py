"""What an object becomes: new, changed, destroyed. Checks what was asked for and returns the next record."""

import contextlib
import warnings
from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_node.core.lifecycle import Origin, check_label
from hsm_node.core.object_records import ObjectRecord, next_object
from hsm_node.core.records import remembered
from hsm_node.core.refusal import Refusal
from hsm_wire.objects import CERTIFICATE, DATA, KINDS, PUBLIC_KEY, CreateObject, UpdateObject
from hsm_wire.statuses import Status

_SEQUENCE: Final = b"\x30"
_LONG_LENGTH: Final = 0x80
"""DER: the tag of a sequence, and the bit of a length that has bytes of its own."""


def check_new_object(body: CreateObject) -> None:
    """Refuse an object whose kind, label or value is not what it should be."""
    if body.kind not in KINDS:
        raise Refusal(Status.BAD_REQUEST, f"an object's kind is one of {', '.join(KINDS)}")
    check_label(body.label)
    check_value(body.kind, body.value)


def check_value(kind: str, value: bytes) -> None:
    """Refuse a value that is not of that kind. Whether a certificate is valid is for those who use it."""
    try:
        with warnings.catch_warnings():  # An old or odd certificate is its owner's matter, not the node's log's.
            warnings.simplefilter("ignore")
            _PARSERS[kind](value)
    except (ValueError, x509.InvalidVersion):
        raise Refusal(Status.BAD_REQUEST, f"the value is not {_FORMS[kind]} in DER, and nothing else") from None


def new_object(body: CreateObject, origin: Origin, digest: bytes) -> ObjectRecord:
    """Return version 1 of an object's record.

    Args:
        body: what was asked for.
        origin: where and when.
        digest: of the request, so that it finds itself when it is sent again.
    """
    return ObjectRecord(
        cluster_id=origin.cluster_id,
        partition=origin.partition,
        object_id=body.object_id,
        version=1,
        order=1,
        epoch=origin.epoch,
        kind=body.kind,
        label=body.label,
        value=body.value,
        destroyed=False,
        created=origin.created,
        creation_digest=digest,
        changes=(),
    )


def updated_object(record: ObjectRecord, update: UpdateObject, mark: bytes) -> ObjectRecord:
    """Return the record after UPDATE_OBJECT."""
    if update.expected_version and update.expected_version != record.version:
        raise Refusal(Status.KEY_CHANGED, f"the object is at version {record.version}, not {update.expected_version}")
    if update.label is not None:
        check_label(update.label)
    if update.value is not None:
        check_value(record.kind, update.value)
    return next_object(
        record,
        label=record.label if update.label is None else update.label,
        value=record.value if update.value is None else update.value,
        changes=remembered(record.changes, mark),
    )


def destroyed_object(record: ObjectRecord, mark: bytes) -> ObjectRecord:
    """Return the record of the destroyed object: its id stays used up, its value and label are gone."""
    return next_object(record, destroyed=True, label="", value=b"", changes=remembered(record.changes, mark))


def _certificate(value: bytes) -> None:
    x509.load_der_x509_certificate(value)


def _public_key(value: bytes) -> None:
    # What begins with a number is an RSA key without the name of its algorithm (RFC 8017), which the parser takes too.
    if len(value) < 2 or value[_content_of(value) :][:1] != _SEQUENCE:
        raise ValueError("no sequence in a sequence")
    with contextlib.suppress(UnsupportedAlgorithm):  # It has the form; what it is a key of, others may know.
        load_der_public_key(value)


def _content_of(value: bytes) -> int:
    """Return where the content of the outermost DER element begins."""
    length = value[1]
    return 2 + (length & ~_LONG_LENGTH if length & _LONG_LENGTH else 0)


def _data(_value: bytes) -> None:
    """Anything is data."""


_PARSERS: Final[dict[str, Callable[[bytes], None]]] = {CERTIFICATE: _certificate, PUBLIC_KEY: _public_key, DATA: _data}
_FORMS: Final = {CERTIFICATE: "one X.509 certificate", PUBLIC_KEY: "one SubjectPublicKeyInfo"}
