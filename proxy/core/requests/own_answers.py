"""Requests that the proxy answers itself: what it sees of the cluster. They are no load and no work of a node."""

from collections.abc import Callable

from hsm_wire.errors import BodyError
from hsm_wire.frames import Frame
from hsm_wire.limits import LENGTH_FIELD_BYTES
from hsm_wire.statuses import Status
from proxy.core.counters import Counters
from proxy.core.parties import Client
from proxy.core.principals import Bound
from proxy.core.requests.answers import refusal

Report = Callable[[Frame, float, Bound], bytes]
"""Makes the RESPONSE to such a request, for whom it is from. Raises BodyError."""


class OwnAnswers:
    """Gives them."""

    __slots__ = ("_counters", "_report")

    def __init__(self, counters: Counters, report: Report) -> None:
        self._counters = counters
        self._report = report

    def give(self, client: Client, frame: Frame, now: float) -> None:
        """Answer at once."""
        status = Status.OK
        try:
            raw = self._report(frame, now, client.principal)
        except BodyError as error:
            status = Status.BAD_REQUEST
            raw = refusal(frame, status, str(error))
        if len(raw) - LENGTH_FIELD_BYTES > client.max_frame_bytes:
            status = Status.TOO_LARGE
            raw = refusal(frame, status, f"the answer is above the {client.max_frame_bytes} bytes that HELLO named")
        client.wire_ids.discard(frame.request_id)
        self._counters.answered(frame.opcode, int(status), None)
        client.sink(raw)
