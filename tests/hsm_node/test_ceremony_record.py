"""The record of a ceremony: signed lines, one behind the other."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_daemon.errors import StartError
from hsm_node.ceremony_record import FIRST, Step, add_step, read_lines, verify, witness_text

Add = Callable[[str], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record"


@pytest.fixture
def add(path: Path) -> Add:
    """Add a step that a token of its own signs."""

    def add_one(what: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

        def sign(text: bytes) -> bytes:
            numbers = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
            return b"".join(number.to_bytes(32, "big") for number in numbers)

        step = Step("2026-11-30T12:00:00Z", "node-1", "one (1)", what, ["ada"], "", witness_text(public), FIRST)
        add_step(path, step, sign)

    return add_one


def test_steps_are_read_as_they_were_added(path: Path, add: Add) -> None:
    for what in ("one", "two", "three"):
        add(what)
    assert [step.what for step in verify(read_lines(path), path)] == ["one", "two", "three"]


@pytest.mark.parametrize("field", ["at", "node", "token", "what", "check_value"])
def test_a_line_that_was_changed_is_found_and_nothing_is_added_to_it(path: Path, add: Add, field: str) -> None:
    add("one")
    step = msgspec.json.decode(path.read_bytes(), type=Step)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(step, **{field: "other"})) + b"\n")
    with pytest.raises(StartError, match="line 1 was changed"):
        add("two")


def test_a_line_that_is_missing_or_put_in_is_found(path: Path, add: Add) -> None:
    for what in ("one", "two", "three"):
        add(what)
    lines = read_lines(path)
    for damaged in (lines[1:], [lines[0], lines[2]], [lines[0], lines[0], *lines[1:]], lines[::-1]):
        with pytest.raises(StartError, match="does not follow"):
            verify(damaged, path)


def test_what_is_no_step_or_cannot_be_read_is_one_line(path: Path, tmp_path: Path) -> None:
    for text in (b"no json", b'{"at":""}'):
        with pytest.raises(StartError, match="line 1 was changed"):
            verify([text], path)
    with pytest.raises(StartError, match="cannot be read"):
        read_lines(tmp_path)
