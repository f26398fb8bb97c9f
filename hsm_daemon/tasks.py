"""Tasks that are named and kept: asyncio itself holds only a weak reference to a task."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from hsm_daemon import logs

_T = TypeVar("_T")
_running: set[asyncio.Task[Any]] = set()
_log = logs.logger("tasks")


def spawn(coroutine: Coroutine[Any, Any, _T], name: str) -> asyncio.Task[_T]:
    """Run the coroutine as a task; an exception that ends it is logged with the task's name."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logs.event(_log, logging.ERROR, "a task failed", task=task.get_name(), error=type(error).__name__)
        _log.debug("traceback of the failed task", exc_info=error)
