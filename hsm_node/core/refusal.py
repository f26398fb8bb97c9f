"""A request that is not done, and the answer that says why."""

from typing import Final

from hsm_wire.statuses import Status

_RESULTS: Final = frozenset({Status.BAD_SIGNATURE, Status.BAD_DATA})
"""What a key at work may say: to find that a signature is wrong is as much work as to find that it is right."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of this program
    """Answer the request with this status; `detail` crosses the wire, so it speaks only of what was asked."""

    def __init__(self, status: Status, detail: str, *, not_executed: bool = False, retry_after_ms: int = 0) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.not_executed = not_executed
        self.retry_after_ms = retry_after_ms

    @property
    def after_work(self) -> bool:
        """Whether the operation was done, and this is its result. Any other refusal is no progress: a node whose
        threads hang still says quickly what it does not do."""
        return self.status in _RESULTS and not self.not_executed
