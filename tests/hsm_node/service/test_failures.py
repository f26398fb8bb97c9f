import logging

import pytest

from hsm_node.core.principals import Principal
from hsm_node.core.refusal import Refusal
from hsm_node.service.failures import Failures
from hsm_node.service.request import Request
from hsm_node.store.base import HaltedStoreError, StoreError
from hsm_wire.errors import BodyError
from hsm_wire.frames import Frame
from hsm_wire.statuses import Status


class Sink:
    def __init__(self) -> None:
        self.refusals: list[Refusal] = []

    def answer(self, request: Request, status: int, body: bytes) -> None:
        raise AssertionError

    def refuse(self, request: Request, refusal: Refusal) -> None:
        self.refusals.append(refusal)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refusal(Status.DENIED, "no"), Status.DENIED),
        (BodyError("bad"), Status.BAD_REQUEST),
        (StoreError("disk secret"), Status.STORE_UNAVAILABLE),
        (HaltedStoreError("quota secret"), Status.STORE_UNAVAILABLE),
        (RuntimeError("inside secret"), Status.DEVICE_ERROR),
    ],
)
def test_each_failure_has_its_status_and_nothing_of_the_inside(
    error: Exception, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Sink()
    failures = Failures()
    request = Request(Frame(3, 0, 1, 0, 7, 1, 0, 5, bytes(32)), Principal("i", 1, frozenset(), 0), 1.0, sink)
    with caplog.at_level(logging.DEBUG):
        failures.answer(request, error)
    assert [refusal.status for refusal in sink.refusals] == [status]
    assert "secret" not in sink.refusals[0].detail
    assert failures.internal == (status is Status.DEVICE_ERROR)
    assert failures.store == (status is Status.STORE_UNAVAILABLE)


def test_a_full_store_is_not_to_be_asked_again_at_once_and_operators_are_named() -> None:
    sink = Sink()
    request = Request(Frame(3, 0, 1, 0, 7, 1, 0, 5, bytes(32)), Principal("i", 1, frozenset(), 0), 1.0, sink)
    Failures().answer(request, HaltedStoreError("quota secret"))
    assert sink.refusals[0].not_executed
    assert "takes no changes for now, and operators must look at it" in sink.refusals[0].detail
    assert "send the request again" not in sink.refusals[0].detail
