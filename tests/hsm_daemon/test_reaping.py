"""The end of a process that was started."""

import asyncio
import subprocess
import sys

from hsm_daemon.reaping import when_ended


def started(code: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({code})"])


async def test_the_exit_code_is_told_in_the_loop() -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    when_ended(started(7), "a child", ended.set_result)
    assert await asyncio.wait_for(ended, 20) == 7
