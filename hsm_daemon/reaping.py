"""The end of a process that this one has started."""

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Callable


def when_ended(process: "subprocess.Popen[bytes]", name: str, ended: Callable[[int], None]) -> None:
    """Call `ended` with the exit code, in the running loop, once the process has ended.

    The loops' own ways to wait for a child would kill it when the loop closes, or need the main thread.
    """
    loop = asyncio.get_running_loop()

    def wait() -> None:
        code = process.wait()
        with contextlib.suppress(RuntimeError):  # the loop has been closed: this process ended first
            loop.call_soon_threadsafe(ended, code)

    threading.Thread(target=wait, name=f"reap {name}", daemon=True).start()
