"""Who did what at which token: one line of JSON each, signed by that token, chained to the line before it.

A line that is changed, taken away from within or put in between does not fit. The last lines can be taken away: who
keeps the record writes down how many there are, or the last line's digest.
"""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_daemon.errors import StartError

MAX_RECORD_BYTES: Final = 1024 * 1024
"""A ceremony has a dozen lines of half a kilobyte."""
FIRST: Final = "0" * 64
"""What the first line says of the one before it."""
_HALF: Final = 32


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line."""

    at: str
    """Time of the host, UTC."""
    node: str
    token: str
    """Label and serial number."""
    what: str
    operators: list[str]
    check_value: str
    """Of the master key; empty: the token has none yet."""
    witness: str
    """SubjectPublicKeyInfo of the key that the token signs with, in Base64."""
    previous: str
    """SHA-256 of the line before, in hexadecimal digits."""
    signature: str = ""
    """ECDSA with SHA-256 over the line with this field empty: r || s in Base64."""


def add_step(path: Path, step: Step, sign: Callable[[bytes], bytes]) -> None:
    """Append a signed line.

    Raises:
        StartError: the record is damaged, or cannot be written.
    """
    lines = read_lines(path)
    verify(lines, path)
    step = msgspec.structs.replace(step, previous=_digest(lines[-1]) if lines else FIRST)
    signed = msgspec.structs.replace(step, signature=_text(sign(msgspec.json.encode(step))))
    try:
        with path.open("ab") as file:
            file.write(msgspec.json.encode(signed) + b"\n")
    except OSError as error:
        raise StartError(f"{path}: the record cannot be written ({error.strerror}); correct --record") from None


def read_lines(path: Path) -> list[bytes]:
    """Return the lines; none where there is no file yet.

    Raises:
        StartError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_RECORD_BYTES).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StartError(f"{path}: the record cannot be read ({error.strerror}); correct --record") from None


def verify(lines: list[bytes], path: Path) -> list[Step]:
    """Return the steps of a record whose signatures and order are right.

    Raises:
        StartError: a line does not fit.
    """
    steps, previous = [], FIRST
    for number, line in enumerate(lines, 1):
        try:
            step = msgspec.json.decode(line, type=Step)
            _verify(step)
        except (msgspec.DecodeError, ValueError, InvalidSignature):
            raise StartError(f"{path}: line {number} was changed: its signature is not right") from None
        if step.previous != previous:
            raise StartError(f"{path}: line {number} does not follow the line before it: one was taken away or put in")
        steps.append(step)
        previous = _digest(line)
    return steps


def witness_text(public: bytes) -> str:
    """Return a witness's key as it stands in a line."""
    return _text(public)


def _verify(step: Step) -> None:
    key = load_der_public_key(base64.b64decode(step.witness, validate=True))
    signature = base64.b64decode(step.signature, validate=True)
    if not isinstance(key, ec.EllipticCurvePublicKey) or len(signature) != 2 * _HALF:
        raise ValueError("no witness")
    numbers = (int.from_bytes(signature[place : place + _HALF], "big") for place in (0, _HALF))
    text = msgspec.json.encode(msgspec.structs.replace(step, signature=""))
    key.verify(encode_dss_signature(*numbers), text, ec.ECDSA(hashes.SHA256()))


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
