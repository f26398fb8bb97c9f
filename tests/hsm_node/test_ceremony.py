"""A node's part of a ceremony, at tokens that are none: what is wrapped for one is its name and the value."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_daemon.errors import StartError
from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11.ceremony_token import CeremonyError, WrappedParts
from hsm_node.backends.pkcs11.module import Token
from hsm_node.ceremony import Ceremony, JoinAnswer, at_token
from hsm_node.ceremony_record import read_lines, verify
from hsm_node.config import load_node_config


class FakeToken:
    """Has at most one master key: its value is its check value."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.held = ""
        self._key = ec.generate_private_key(ec.SECP256R1())

    def check_new(self) -> None:
        if self.held:
            raise CeremonyError("already")

    def make(self) -> str:
        return "1111"

    def forget(self, made: str) -> None:
        assert made

    def drop(self) -> None:
        self.held = ""

    def drop_transport_key(self) -> None:
        """Nothing is kept."""

    def transport_key(self) -> bytes:
        return self.name

    def wrapped(self, made: str, transport: bytes) -> WrappedParts:
        return WrappedParts(transport, made.encode(), b"")

    def take(self, wrapped: WrappedParts) -> None:
        if wrapped.kek != self.name:
            raise CeremonyError("not wrapped for this token")
        self.held = wrapped.mac.decode()

    def bring(self, master_key: bytes) -> None:
        self.held = master_key.decode()

    def check_value(self) -> str:
        return self.held

    def trust(self, officer_pin: bytes) -> str:
        return "" if officer_pin == b"1" else "CKR_ATTRIBUTE_READ_ONLY"

    def witness(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, text: bytes) -> bytes:
        numbers = decode_dss_signature(self._key.sign(text, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(32, "big") for number in numbers)


def part_of(name: str, folder: Path) -> tuple[Ceremony, FakeToken]:
    fake: Any = FakeToken(name)
    return Ceremony(name, "redoubt", Token(0, name, "1", "", 0), fake, folder / "record", ["ada"]), fake


def test_what_one_token_makes_the_other_takes_and_each_step_is_recorded(tmp_path: Path) -> None:
    (first, made), (second, took) = part_of("n1", tmp_path), part_of("n2", tmp_path)
    value, [answer] = first.init([second.request()])
    assert second.join(answer) == value == made.held == took.held
    steps = verify(read_lines(tmp_path / "record"), tmp_path)
    assert [(step.node, step.what.split(" ")[0]) for step in steps] == [
        ("n2", "made"),
        ("n1", "made"),
        ("n1", "wrapped"),
        ("n2", "took"),
    ]
    with pytest.raises(CeremonyError, match="already"):
        first.init([])


def test_what_is_not_for_this_node_or_not_the_key_that_was_made_is_not_kept(tmp_path: Path) -> None:
    (first, _), (second, took) = part_of("n1", tmp_path), part_of("n2", tmp_path)
    _, [answer] = first.init([second.request()])
    for wrong, text in (
        (JoinAnswer("n3", "redoubt", "1111", *["bjI="] * 3), "is for n3"),
        (JoinAnswer("n2", "redoubt", "1111", *["bm8="] * 3), "not wrapped for this token"),
        (JoinAnswer("n2", "redoubt", "2222", answer.kek, answer.mac, ""), "nothing was kept"),
        (JoinAnswer("n2", "redoubt", "1111", "?", "", ""), "changed on its way"),
    ):
        with pytest.raises(CeremonyError, match=text):
            second.join(wrong)
        assert not took.held


def test_a_key_that_people_have_is_kept_when_it_is_the_right_one(tmp_path: Path) -> None:
    part, token = part_of("n1", tmp_path)
    with pytest.raises(CeremonyError, match="nothing was kept"):
        part.bring(b"3333", "1111")
    assert not token.held
    assert part.bring(b"3333", "3333") == "3333"


def test_whether_the_officer_marked_the_key_is_recorded_and_a_token_that_counts_is_not_tried(tmp_path: Path) -> None:
    part, token = part_of("n1", tmp_path)
    part.bring(b"3333", "3333")
    assert part.trust(b"1") == ""
    assert part.trust(b"2") == "CKR_ATTRIBUTE_READ_ONLY"
    steps = verify(read_lines(tmp_path / "record"), tmp_path)
    assert [step.what for step in steps[1:]] == [
        "marked it as trusted",
        "could not mark the master key as trusted: CKR_ATTRIBUTE_READ_ONLY",
    ]
    final: Any = token
    counted = Token(0, "n1", "1", "", ck.CKF_SO_PIN_FINAL_TRY)
    with pytest.raises(CeremonyError, match="nothing is tried"):
        Ceremony("n1", "redoubt", counted, final, tmp_path / "record", ["ada"]).trust(b"1")


def test_a_node_whose_keys_are_in_software_has_no_token(node_folder: Path) -> None:
    config, _ = load_node_config(node_folder / "node.toml")
    with pytest.raises(StartError, match="in software"), at_token(config, node_folder / "record", ["ada"]):
        pass
