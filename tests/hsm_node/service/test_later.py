import asyncio
from typing import Any

import pytest

from hsm_node.core.principals import Principal
from hsm_node.core.refusal import Refusal
from hsm_node.service.failures import Failures
from hsm_node.service.later import answer_later
from hsm_node.service.request import Request
from hsm_wire import kinds
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.statuses import Status


class Sink:
    """Remembers the one answer."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes | str]] = []

    def answer(self, request: Request, status: int, body: bytes) -> None:
        self.answers.append((status, body))

    def refuse(self, request: Request, refusal: Refusal) -> None:
        self.answers.append((refusal.status, refusal.detail))


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ((Status.OK_UNCONFIRMED, b"body"), Status.OK_UNCONFIRMED),
        (Refusal(Status.KEY_EXISTS, "no"), Status.KEY_EXISTS),
        (ZeroDivisionError("a secret"), Status.DEVICE_ERROR),
    ],
    ids=["a result", "a refusal", "an error inside"],
)
async def test_whatever_comes_of_the_work_is_answered_once(result: Any, status: Status) -> None:
    sink = Sink()
    splitter = FrameSplitter(1 << 20)
    (frame,) = splitter.split(encode_frame(kinds.REQUEST, b"\x90", request_id=1, opcode=1))
    request = Request(frame, Principal("i", 1, frozenset(), 0), 10.0, sink)

    async def work() -> tuple[Status, bytes]:
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]  # a case of the table above

    assert answer_later(request, work(), Failures()) is None
    await asyncio.sleep(0.01)
    assert [answer[0] for answer in sink.answers] == [status]
    assert "secret" not in str(sink.answers)
