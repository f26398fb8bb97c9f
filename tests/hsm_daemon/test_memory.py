"""Free memory goes back to the system."""

import asyncio
import subprocess
import sys

import pytest

from hsm_daemon import memory

CROWD = """
from hsm_daemon.memory import trimmer
trim = trimmer()
if trim is None:
    raise SystemExit("this C library cannot")
def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096
keep = []
crowd = []
for _ in range(2_000):
    crowd.append(b"x" * 50_000)
    keep.append(bytes(3_000))  # what outlives them lies between them
del crowd
before = resident()
trim()
print(before - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is about glibc")
def test_what_a_crowd_leaves_goes_back_to_the_system() -> None:
    command = [sys.executable, "-c", CROWD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50 << 20


def test_another_c_library_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        """A library without malloc_trim."""

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: Other())
    assert memory.trimmer() is None
    loop = asyncio.new_event_loop()
    memory.trim_now_and_then(loop)
    loop.close()


async def test_it_is_done_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    monkeypatch.setattr(memory, "TRIM_EVERY_S", 0.001)
    monkeypatch.setattr(memory, "trimmer", lambda: lambda: calls.append(None))
    memory.trim_now_and_then(asyncio.get_running_loop())
    async with asyncio.timeout(5):
        while len(calls) < 3:
            await asyncio.sleep(0.001)
