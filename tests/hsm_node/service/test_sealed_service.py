"""A sealed node sends every request elsewhere; a share that came over the network was seen by others."""

from typing import Any

import pytest

from hsm_node.core.principals import Principal
from hsm_node.core.refusal import Refusal
from hsm_node.service.request import Request
from hsm_node.service.sealed_service import SealedService
from hsm_wire import kinds
from hsm_wire.administration import Unseal
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.messages import Random, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import Role
from hsm_wire.statuses import STATUS_TABLE, Status


class Sink:
    def __init__(self) -> None:
        self.refusals: list[Refusal] = []

    def answer(self, request: Request, status: int, body: bytes) -> None:
        raise AssertionError("it has no keys to answer with")

    def refuse(self, request: Request, refusal: Refusal) -> None:
        self.refusals.append(refusal)


def asked(opcode: int, body: Any) -> Refusal:
    [frame] = FrameSplitter(1 << 20).split(
        encode_frame(kinds.REQUEST, encode_body(body), request_id=1, principal=7, opcode=opcode)
    )
    sink = Sink()
    somebody = Principal("spiffe://dev/operator/one", 1, frozenset(Role), 0)
    SealedService().serve(Request(frame, somebody, 10.0, sink))
    [refusal] = sink.refusals
    return refusal


@pytest.mark.parametrize(
    "opcode", [Opcode.INFO, Opcode.RANDOM, Opcode.SIGN, Opcode.CHECK, Opcode.CLUSTER_STATE, 0xFFFF]
)
def test_whatever_is_asked_goes_to_another_node(opcode: int) -> None:
    refusal = asked(opcode, Random(5))
    assert (refusal.status, refusal.not_executed) == (Status.NOT_CURRENT, True)
    assert STATUS_TABLE[refusal.status].elsewhere
    assert "hsmctl unseal" in refusal.detail


def test_a_share_over_the_network_is_refused_unread_and_not_tried_elsewhere() -> None:
    refusal = asked(Opcode.UNSEAL, Unseal(b"academic acid"))
    assert (refusal.status, refusal.not_executed) == (Status.DENIED, True)
    assert not STATUS_TABLE[refusal.status].elsewhere
    assert "academic" not in refusal.detail


def test_there_is_nothing_to_follow_and_nothing_stale() -> None:
    service = SealedService()
    service.doubt()
    service.follow()
    assert service.current
