"""What keeps a daemon's memory to itself: no core dumps, nobody who attaches to it, no page in swap, no values in logs.

Theory. A process that dumps core writes its keys into a file, and a page that is swapped out lies on a disk; both
outlive the process. RLIMIT_CORE of 0 stops files, but not a core_pattern that is a program: that takes PR_SET_DUMPABLE,
which also keeps other processes of the same user from attaching or reading /proc/PID/mem. Root still can.

Memory is locked with MCL_ONFAULT: a page is locked when it gets its content, not when it is mapped. Without it the
libraries and each thread's whole stack are made resident. Measured (a node's code with 18 threads, 46 MB resident):
with it 46 MB, without it 204 MB; either call takes 2 to 10 ms at start.

Locking what is mapped later (MCL_FUTURE) under a limit that is reached later would make an allocation fail in the
middle of a request. So the rule: memory is locked where no limit holds this process (CAP_IPC_LOCK, or RLIMIT_MEMLOCK
unlimited or to be raised to that), and not at all where one does, however high it is: nobody knows how much memory keys
will take. Whether the limit holds this process the kernel says: under one of 0 only the capability gets through.

Locked pages in the middle of the heap do not go back to the system. So whoever asks for that (`memory`) does it within
`unlocked`: for some milliseconds, now and then, nothing is locked. A system that swaps a page out in this moment had it
in use for long; it comes back locked.
"""

import asyncio
import contextlib
import ctypes
import errno
import functools
import resource
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog

PR_SET_DUMPABLE: Final = 4
MCL_CURRENT: Final = 1
MCL_FUTURE: Final = 2
MCL_ONFAULT: Final = 4
"""Linux on x86 and ARM; where the numbers are others the call fails, and that is logged."""
MAX_PLACES: Final = 20
"""Calls that are logged of an error, the innermost ones."""
_STATUS: Final = Path("/proc/self/status")
_FAILED: Final = -1

_log = logs.logger("daemon.hardening")
_unhandled_log = LimitedLog(_log, 10)
"""What nobody handles may come with every connection."""
_WRITTEN_TOO_LATE: Final = "UVHandle._ensure_alive"
"""Where uvloop refuses what its own TLS writes to a socket that it has closed already."""


def refuse_dumps() -> None:
    """Have this process never dump core, and nobody but root look into it. To be called first, before any secret."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0):
        logs.event(_log, "warning", "this system lets others look into the process", what="nothing; it has no prctl")


def lock_memory() -> bool:
    """Keep what this process has and will have out of swap, where no limit forbids it; say so where one does."""
    reason = _locked_without_limit()
    if not reason:
        return True
    logs.event(
        _log,
        "warning",
        "memory is not locked, so keys may get into swap",
        reason=reason,
        what="set LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited; or have no swap",
    )
    return False


@contextlib.contextmanager
def unlocked() -> Iterator[None]:
    """Let go of the lock within, if this process has one."""
    if not memory_is_locked() or _call("munlockall"):
        yield
        return
    try:
        yield
    finally:
        lock_memory()


def memory_is_locked() -> bool:
    """Whether pages of this process are locked now, as the kernel says."""
    try:
        status = _STATUS.read_text()
    except OSError:
        return False
    locked = [line.split()[1] for line in status.splitlines() if line.startswith("VmLck:")]
    return bool(locked) and locked[0] != "0"


def log_no_values(loop: asyncio.AbstractEventLoop) -> None:
    """Log errors that nobody handles by their type and place: asyncio's own words quote the arguments of callbacks."""
    loop.set_exception_handler(_unhandled)


def _locked_without_limit() -> str:
    """Lock the memory; return why not, empty where it is locked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    unlimited = hard == resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard if unlimited else 0, hard))
    number = _call("mlockall", MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)
    if not unlimited:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))
    if not number:
        return ""
    if not unlimited and number in (errno.EPERM, errno.ENOMEM):
        return f"the limit of locked memory is {hard} bytes"
    return f"mlockall: {errno.errorcode.get(number, 'not here')}"


def _call(name: str, *arguments: int) -> int:
    """Call the C library; return the error's number, 0 for none, -1 where it has no such function."""
    try:
        function = getattr(_c_library(), name)
    except (OSError, AttributeError):
        return _FAILED
    return ctypes.get_errno() if function(*arguments) else 0


@functools.cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _unhandled(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    error = context.get("exception")
    if not isinstance(error, BaseException):
        _unhandled_log.event("error", "something is wrong in the event loop", reason=str(context.get("message", "")))
        return
    frames = traceback.extract_tb(error.__traceback__)[-MAX_PLACES:]
    if isinstance(error, RuntimeError) and frames and frames[-1].name.endswith(_WRITTEN_TOO_LATE):
        return  # The connection ended in this very turn of a busy loop; its protocol is told of that in the next one.
    places = " < ".join(f"{frame.name}:{frame.lineno} in {Path(frame.filename).name}" for frame in reversed(frames))
    _unhandled_log.event("error", "an error that nobody handles", error=type(error).__name__, places=places)
