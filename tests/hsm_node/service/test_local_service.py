"""Shares come in, the node opens or stays sealed, and no answer or log line has anything of a share or key in it."""

import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from shamir_mnemonic import generate_mnemonics

from hsm_daemon.errors import StartError
from hsm_node.core.principals import Principal
from hsm_node.core.refusal import Refusal
from hsm_node.core.unsealing import Unsealing
from hsm_node.service.local_service import LocalService
from hsm_node.service.request import Request
from hsm_node.service.sealed_service import SealedService
from hsm_wire import kinds
from hsm_wire.administration import Report, Unseal
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.messages import Empty, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import Role
from hsm_wire.statuses import Status

KEY = bytes(range(100, 132))
ROOT = Principal("local operator", 0, frozenset({Role.OPERATE}), 0)


class Sealed:
    """A sealed node's local service, what it was opened with, and its answers."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.fault: Exception | None = None
        self.unsealing = Unsealing(60.0)
        self.service = LocalService("node-1", lambda: self.behind)
        self.behind = SealedService()
        self.service.seal(self.unsealing, self.open)
        self.said = ""

    def open(self, key: bytes) -> None:
        self.keys.append(key)
        if self.fault is not None:
            raise self.fault

    def answer(self, request: Request, status: int, body: bytes) -> None:
        self.result: Report | Refusal = decode_body(Report, body)
        self.said += repr(self.result)

    def refuse(self, request: Request, refusal: Refusal) -> None:
        self.result = refusal
        self.said += refusal.detail

    def ask(self, opcode: int, body: Any, who: Principal = ROOT) -> Any:
        sent = body if isinstance(body, bytes) else encode_body(body)
        [frame] = FrameSplitter(1 << 20).split(encode_frame(kinds.REQUEST, sent, request_id=1, opcode=opcode))
        self.service.serve(Request(frame, who, 10.0, self))
        return self.result

    def give(self, share: str) -> Any:
        return self.ask(Opcode.UNSEAL, Unseal(share.encode()))


@pytest.fixture
def sealed() -> Sealed:
    return Sealed()


def split(threshold: int = 2, count: int = 3) -> list[str]:
    return generate_mnemonics(1, [(threshold, count)], KEY, iteration_exponent=0)[0]


def test_each_share_is_answered_by_how_many_are_missing_and_the_last_opens(sealed: Sealed) -> None:
    one, two, three, _ = split(3, 4)
    first = sealed.give(one)
    assert (first.ok, first.lines[1]) == (False, "node-1 is sealed; 2 more shares are needed")
    assert "share 1 of set " in first.lines[0]
    assert sealed.give(two).lines[1] == "node-1 is sealed; 1 more share is needed"
    assert "given already" in sealed.give(two).lines[0]
    assert sealed.give(three) == Report(True, ["node-1 is unsealed"])
    assert sealed.keys == [KEY]
    assert sealed.give(one) == Report(True, ["node-1 is not sealed"])
    assert sealed.unsealing.given == 0


def test_a_key_that_the_store_does_not_know_costs_the_whole_set(sealed: Sealed) -> None:
    sealed.fault = StartError("store.db: the master key is not the one; correct [keystore] master_key")
    one, two, _ = split()
    sealed.give(one)
    refusal = sealed.give(two)
    assert refusal.status == Status.BAD_DATA
    assert "node-1 stays sealed: store.db: the master key is not the one; all shares of set" in refusal.detail
    assert (sealed.unsealing.given, sealed.unsealing.failed) == (0, 1)
    sealed.fault = None
    sealed.give(one)
    assert sealed.give(two).ok


def test_a_set_that_makes_no_key_is_forgotten_too(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shamir_mnemonic.shamir._random_identifier", lambda: 7)
    sealed.give(split()[0])
    refusal = sealed.give(split()[1])
    assert "do not belong together" in refusal.detail
    assert (sealed.unsealing.given, sealed.unsealing.failed, sealed.keys) == (0, 1, [])


def test_a_bad_share_is_refused_alone(sealed: Sealed) -> None:
    one, two, _ = split()
    sealed.give(one)
    assert "32" in sealed.give(two.rsplit(" ", 1)[0]).detail
    assert sealed.give(two).ok


def test_an_empty_share_forgets_the_others(sealed: Sealed) -> None:
    sealed.give(split()[0])
    assert sealed.give("") == Report(False, ["node-1 is sealed; 1 shares are forgotten"])
    assert sealed.unsealing.given == 0


def test_an_error_inside_is_one_answer_without_words(sealed: Sealed) -> None:
    sealed.fault = RuntimeError(KEY.hex())
    one, two, _ = split()
    sealed.give(one)
    refusal = sealed.give(two)
    assert refusal.status == Status.DEVICE_ERROR
    assert sealed.unsealing.given == 0


def test_who_is_no_operator_and_what_is_no_body_is_refused(sealed: Sealed) -> None:
    nobody = Principal("somebody", 1, frozenset({Role.USE}), 0)
    assert sealed.ask(Opcode.UNSEAL, Unseal(b"x"), nobody).status == Status.DENIED
    assert sealed.ask(Opcode.UNSEAL, b"\x91\xa3abc").status == Status.BAD_REQUEST


def test_everything_else_is_for_whoever_serves_now(sealed: Sealed) -> None:
    assert sealed.ask(Opcode.CLUSTER_STATE, Empty()).status == Status.NOT_CURRENT
    sealed.service.doubt()
    sealed.service.follow()
    assert sealed.service.current


def test_nothing_of_a_share_or_key_is_said_or_logged(
    sealed: Sealed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(logging.getLogger("redoubt"), "propagate", True)
    secrets: set[str] = {KEY.hex(), repr(KEY)[2:-1]}
    faults: list[Callable[[], Exception | None]] = [lambda: StartError("no"), lambda: RuntimeError(), lambda: None]
    for fault in faults:
        sealed.fault = fault()
        one, two, _ = split()
        secrets |= {f"{first} {second}" for share in (one, two) for first, second in pairwise(share.split())}
        for share in (one, two[:-4], f"{two} academic", "", one, two):
            sealed.give(share)
    said = sealed.said + repr(sealed.service.__dict__)
    said += "".join(repr(vars(record)) for record in caplog.records)
    assert "a share is taken" in said
    assert [secret for secret in secrets if secret in said] == []
