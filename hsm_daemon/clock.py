"""The only place that asks the system for the time."""

import time

monotonic = time.monotonic
"""Seconds on a clock that never goes back; for deadlines."""

now = time.time
"""Seconds since 1970; for records and certificates."""
