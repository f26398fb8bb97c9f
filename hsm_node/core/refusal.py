"""A request that is not done, and the answer that says why."""

from hsm_wire.statuses import Status


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of this program
    """Answer the request with this status; `detail` crosses the wire, so it speaks only of what was asked."""

    def __init__(self, status: Status, detail: str, *, not_executed: bool = False, retry_after_ms: int = 0) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.not_executed = not_executed
        self.retry_after_ms = retry_after_ms
