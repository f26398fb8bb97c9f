"""Answers that come when a coroutine is done."""

from collections.abc import Coroutine
from typing import Any

from hsm_daemon.tasks import spawn
from hsm_node.service.failures import Failures
from hsm_node.service.request import Request
from hsm_wire.statuses import Status


def answer_later(request: Request, work: Coroutine[Any, Any, tuple[Status, bytes]], failures: Failures) -> bytes | None:
    """Answer the request when the work is done, or with what went wrong: once, whatever happens.

    Returns None: what a handler returns that answers later.
    """

    async def finish() -> None:
        try:
            status, body = await work
        except Exception as error:  # noqa: BLE001 - each request has one answer, whatever happens
            failures.answer(request, error)
        else:
            request.succeed(body, int(status))

    spawn(finish(), f"operation {request.operation_id:016x}")
    return None
