"""The end of a process whose threads may hang.

Python waits for its worker threads before it ends. One that waits for a device which never answers would keep a daemon
that has sent its last answer, until systemd kills it: then no exit code says that the end was in order.
"""

import logging
import os
import sys
import threading
import time
from typing import Final, NoReturn

from hsm_daemon import clock, logs

GRACE_S: Final = 1.0  # for threads that are about to end: a store transaction takes milliseconds
_POLL_S: Final = 0.01

_log = logs.logger("daemon.ending")


def leave(code: int) -> NoReturn:
    """End the process with that exit code, without the threads that do not end."""
    until = clock.monotonic() + GRACE_S
    while _others() and clock.monotonic() < until:
        time.sleep(_POLL_S)
    others = _others()
    if not others:
        sys.exit(code)
    logs.event(_log, "warning", "leaving threads behind that do not end", threads=", ".join(others))
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _others() -> list[str]:
    """Names of the threads that Python would wait for."""
    main = threading.main_thread()
    return [thread.name for thread in threading.enumerate() if thread is not main and not thread.daemon]
