"""The only place that asks the system for the time."""

import time


def monotonic() -> float:
    """Return seconds that only go forward: deadlines and intervals."""
    return time.monotonic()


def boottime() -> float:
    """Return seconds that only go forward, and also while the machine sleeps: how old news of the store is."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def now() -> float:
    """Return seconds since 1970 (UTC): validity of certificates, times in logs and records."""
    return time.time()


def thread_s() -> float:
    """Return the processor time of the calling thread, in seconds: what an event loop cost."""
    return time.thread_time()
