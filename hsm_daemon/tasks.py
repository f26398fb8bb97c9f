"""The only way to start a task: it has a name, somebody keeps it, and its failure is heard."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog

_T = TypeVar("_T")
_log = LimitedLog(logs.logger("daemon.tasks"), 10)
"""What fails may be what every connection does."""
_running: set[asyncio.Task[Any]] = set()  # the event loop itself keeps weak references only


def spawn(coroutine: Coroutine[Any, Any, _T], name: str) -> asyncio.Task[_T]:
    """Run `coroutine` beside the caller. An exception that ends it is logged; awaiting the task raises it too."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        _log.exception("task failed", error, task=task.get_name())
