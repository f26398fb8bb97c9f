from hsm_node.core.principals import Principal
from hsm_node.core.refusal import Refusal
from hsm_node.service.request import Request
from hsm_wire.frames import Frame
from hsm_wire.statuses import Status


class Sink:
    def __init__(self) -> None:
        self.answers: list[int] = []

    def answer(self, request: Request, status: int, body: bytes) -> None:
        self.answers.append(status)

    def refuse(self, request: Request, refusal: Refusal) -> None:
        self.answers.append(refusal.status)


def make(sink: Sink) -> Request:
    return Request(Frame(3, 0, 1, 0, 7, 1, 0, 5, bytes(32)), Principal("i", 1, frozenset(), 0), 1.0, sink)


def test_a_request_is_answered_once() -> None:
    sink = Sink()
    request = make(sink)
    request.succeed(b"")
    request.succeed(b"")
    request.refuse(Refusal(Status.DENIED, ""))
    assert sink.answers == [0]


def test_cancelling_answers_only_what_has_not_started() -> None:
    sink = Sink()
    request = make(sink)
    request.cancel()
    request.withdraw = lambda: False
    request.cancel()
    assert sink.answers == []
    request.withdraw = lambda: True
    request.cancel()
    assert sink.answers == [Status.CANCELLED]


def test_what_threads_spent_on_it_adds_up() -> None:
    request = make(Sink())
    assert request.spent is None
    request.worked("session", 1.0, 0.25)
    request.worked("store", 0.5, 2.0)
    request.worked("generation", 0.0, 4.0)
    spent = request.spent
    assert spent is not None
    assert (spent.queued_s, spent.device_s, spent.store_s) == (1.5, 4.25, 2.0)
