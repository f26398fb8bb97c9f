"""A process ends with its code, also beside threads that hang."""

import subprocess
import sys

import pytest

HANGS = """
import threading, time
from concurrent.futures import ThreadPoolExecutor
from hsm_daemon import ending, logs
logs.configure("test")
pool = ThreadPoolExecutor(1, thread_name_prefix="session")
pool.submit(time.sleep, SECONDS)
pool.shutdown(wait=False)
print("the last word")
ending.leave(CODE)
"""


@pytest.mark.parametrize(("seconds", "code", "left"), [(600, 0, True), (600, 3, True), (0.05, 0, False)])
def test_threads_that_hang_do_not_hold_the_process(seconds: float, code: int, left: bool) -> None:
    program = HANGS.replace("SECONDS", str(seconds)).replace("CODE", str(code))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout) == (code, "the last word\n")
    assert ("session" in done.stderr) is left
