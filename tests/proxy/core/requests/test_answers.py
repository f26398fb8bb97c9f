"""The proxy's own answers."""

from hsm_wire.frames import Frame, FrameSplitter
from hsm_wire.messages import Failure, decode_body
from hsm_wire.statuses import Status
from proxy.core.requests.answers import ELSEWHERE, refusal, timeout_s


def request(opcode=0x0201, timeout_ms=0):
    return Frame(3, 0, 5, timeout_ms, 0, opcode, 0, 77, b"")


def test_a_request_without_a_time_gets_its_operation_s_default():
    assert timeout_s(request()) == 10
    assert timeout_s(request(opcode=0x0101)) == 60
    assert timeout_s(request(opcode=0x7777)) == 10


def test_a_time_that_is_too_long_is_cut():
    assert timeout_s(request(timeout_ms=2500)) == 2.5
    assert timeout_s(request(timeout_ms=0xFFFF_FFFF)) == 600


def test_a_refusal_names_the_request_and_says_when_to_come_back():
    (frame,) = FrameSplitter(4096).split(refusal(request(), Status.OVERLOADED, "full"))
    assert (frame.request_id, frame.opcode, frame.operation_id, frame.flags) == (5, 0x0201, 77, 1)
    assert decode_body(Failure, frame.body) == Failure("full", 50)


def test_a_caller_s_own_error_is_never_tried_elsewhere():
    assert {Status(number) for number in ELSEWHERE} == {
        Status.DEVICE_ERROR,
        Status.MECHANISM_NOT_HERE,
        Status.RECORD_DAMAGED,
        Status.GOING_AWAY,
        Status.NOT_CURRENT,
        Status.STORE_UNAVAILABLE,
    }
