"""Free memory goes back to the system."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm_daemon import memory

CROWD = """
import sys
from hsm_daemon import hardening
from hsm_daemon.memory import trimmer
if "locked" in sys.argv:
    hardening.lock_memory()  # where this user may
locked = hardening.memory_is_locked()
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
assert hardening.memory_is_locked() == locked
"""


BUFFER = """
import ctypes, re, sys
from hsm_daemon import memory
if "mapped" in sys.argv:
    memory.map_large_blocks()
buffer = bytearray(256 << 10)
del buffer  # from now on glibc itself takes blocks of this size from the heap
buffer = bytearray(256 << 10)
address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
with open("/proc/self/maps") as maps:
    [heap] = [[int(end, 16) for end in re.split("[- ]", line)[:2]] for line in maps if "[heap]" in line]
print(heap[0] <= address < heap[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is about glibc")
@pytest.mark.parametrize(("choice", "in_heap"), [("mapped", "False"), ("as glibc likes", "True")])
def test_the_buffer_of_a_connection_leaves_no_hole_in_the_heap(choice: str, in_heap: str) -> None:
    command = [sys.executable, "-c", BUFFER, choice]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == in_heap


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is about glibc")
@pytest.mark.parametrize("lock", ["locked", "not locked"])
def test_what_a_crowd_leaves_goes_back_to_the_system(lock: str) -> None:
    command = [sys.executable, "-c", CROWD, lock]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50 << 20


def test_a_locked_process_lets_go_of_the_lock_only_when_it_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    resident = [1000]
    trimmed: list[int] = []

    @contextlib.contextmanager
    def unlocked() -> Iterator[None]:
        trimmed.append(resident[0])
        yield

    monkeypatch.setattr(memory.hardening, "memory_is_locked", lambda: True)
    monkeypatch.setattr(memory.hardening, "unlocked", unlocked)
    monkeypatch.setattr(memory, "resident_pages", lambda: resident[0])
    trim = memory.trimmer()
    assert trim is not None
    step = memory.GROWTH_BYTES // memory._PAGE_BYTES
    for resident[0] in (1000, 1000 + step, 1001 + step, 1002 + step, 1002 + 2 * step):
        trim()
    assert trimmed == [1001 + step, 1002 + 2 * step]


def test_a_system_that_does_not_say_how_much_is_in_memory_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "_STATM", tmp_path / "none")
    assert memory.resident_pages() == 0


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
