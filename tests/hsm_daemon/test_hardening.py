"""Nothing of a daemon's memory ends in a file, and nothing of it in a log line."""

import asyncio
import errno
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from hsm_daemon import hardening, lifecycle

LOOPS = [asyncio.SelectorEventLoop, uvloop.new_event_loop]
SECRET = b"a plaintext that no log shall hold"


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a few lines in a process of their own, which may dump as much core as its limits let it."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )


def test_a_process_that_is_aborted_dumps_no_core_and_nobody_may_look_into_it(tmp_path: Path) -> None:
    code = (
        "import ctypes, os, resource; from hsm_daemon import hardening; hardening.refuse_dumps();"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True);"
        "os.abort()"
    )
    done = run(code, tmp_path)
    assert done.returncode == -signal.SIGABRT
    assert done.stdout == "(0, 0) 0\n"
    assert list(tmp_path.iterdir()) == []


def test_what_is_said_of_the_lock_is_what_the_kernel_says(tmp_path: Path) -> None:
    code = (
        "from hsm_daemon import hardening; before = hardening.memory_is_locked(); locked = hardening.lock_memory();"
        "more = bytes(64 << 20); print(before, locked == hardening.memory_is_locked())"
    )
    assert run(code, tmp_path).stdout == "False True\n"


class System:
    """Limits and a kernel as a test wants them."""

    def __init__(self, hard: int, error: int, *, capable: bool = False) -> None:
        self.limit = (min(hard, 8 << 20) if hard != resource.RLIM_INFINITY else 8 << 20, hard)
        self.before = self.limit
        self.error = error
        self.capable = capable
        self.asked: list[tuple[str, tuple[int, ...], int]] = []

    def get(self, _which: int) -> tuple[int, int]:
        return self.limit

    def set(self, _which: int, limit: tuple[int, int]) -> None:
        assert limit[1] == self.before[1], "a hard limit stays"
        self.limit = limit

    def call(self, name: str, *arguments: int) -> int:
        self.asked.append((name, arguments, self.limit[0]))
        if self.capable or self.limit[0] == resource.RLIM_INFINITY:
            return self.error
        return self.error or errno.EPERM


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Callable[..., System]:
    def make(hard: int, error: int = 0, *, capable: bool = False) -> System:
        made = System(hard, error, capable=capable)
        monkeypatch.setattr(hardening.resource, "getrlimit", made.get)
        monkeypatch.setattr(hardening.resource, "setrlimit", made.set)
        monkeypatch.setattr(hardening, "_call", made.call)
        return made

    return make


def test_memory_is_locked_where_the_limit_may_be_lifted(system: Callable[..., System]) -> None:
    made = system(resource.RLIM_INFINITY)
    assert hardening.lock_memory()
    assert made.asked == [("mlockall", (7,), resource.RLIM_INFINITY)]
    assert made.limit == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def test_memory_is_locked_under_a_limit_that_does_not_hold_this_process(system: Callable[..., System]) -> None:
    made = system(8 << 20, capable=True)
    assert hardening.lock_memory()
    assert made.asked == [("mlockall", (7,), 0)]
    assert made.limit == made.before


@pytest.mark.parametrize(("locked", "asked"), [(True, ["munlockall", "mlockall"]), (False, [])])
def test_the_lock_is_let_go_of_and_taken_again(
    system: Callable[..., System], monkeypatch: pytest.MonkeyPatch, locked: bool, asked: list[str]
) -> None:
    made = system(resource.RLIM_INFINITY, capable=True)
    monkeypatch.setattr(hardening, "memory_is_locked", lambda: locked)
    with pytest.raises(MemoryError), hardening.unlocked():
        raise MemoryError
    assert [name for name, _, _ in made.asked] == asked


@pytest.mark.parametrize("hard", [0, 8 << 20, 1 << 40])
def test_under_a_limit_nothing_is_locked_however_high_it_is_and_one_line_says_what_to_set(
    system: Callable[..., System], caplog: pytest.LogCaptureFixture, hard: int
) -> None:
    made = system(hard)
    assert not hardening.lock_memory()
    assert made.limit == made.before
    [record] = caplog.records
    fields = record.__dict__["fields"]
    assert f"{hard} bytes" in fields["reason"]
    assert "LimitMEMLOCK=infinity" in fields["what"]


def test_a_system_that_cannot_lock_is_named_and_the_daemon_goes_on(
    system: Callable[..., System], caplog: pytest.LogCaptureFixture
) -> None:
    system(resource.RLIM_INFINITY, errno.EINVAL)
    assert not hardening.lock_memory()
    assert "EINVAL" in caplog.records[0].__dict__["fields"]["reason"]


def test_another_system_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert hardening._call("there_is_no_such_function") == -1
    monkeypatch.setattr(hardening, "_STATUS", tmp_path / "none")
    assert not hardening.memory_is_locked()


def told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> str:
    """Return everything that was written."""
    return "".join(str(record.__dict__) for record in caplog.records) + "".join(capfd.readouterr())


@pytest.mark.parametrize("make", LOOPS)
def test_a_callback_that_fails_is_logged_without_its_arguments(
    make: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def answer(plaintext: bytes) -> None:
        raise ValueError(plaintext)

    async def main(_life: lifecycle.Lifecycle) -> None:
        asyncio.get_running_loop().call_soon(answer, SECRET)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(lifecycle._run(main))
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    fields = record.__dict__["fields"]
    assert fields["error"] == "ValueError"
    assert fields["places"].startswith("answer:")
    assert not any(part in told(caplog, capfd) for part in ("plaintext that", "a plaintext", "shall hold"))


def test_what_uvloop_s_tls_writes_to_a_closed_socket_is_the_end_of_a_connection_and_no_defect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def write_too_late() -> RuntimeError:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        transport, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
        transport.abort()
        await asyncio.sleep(0.01)  # uvloop closes the handle in one of the next turns
        with pytest.raises(RuntimeError) as caught:
            transport.write(b"x")
        server.close()
        return caught.value

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        error = runner.run(write_too_late())
    loop = asyncio.new_event_loop()
    hardening.log_no_values(loop)
    loop.call_exception_handler({"message": "Fatal error on SSL protocol", "exception": error})
    assert caplog.records == []
    loop.call_exception_handler({"message": "something else", "exception": RuntimeError()})
    assert len(caplog.records) == 1
    loop.close()


def test_a_fault_of_the_loop_without_an_exception_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    hardening.log_no_values(loop)
    loop.call_exception_handler({"message": "something unheard of", "value": SECRET})
    loop.close()
    assert caplog.records[0].__dict__["fields"] == {"reason": "something unheard of"}


def test_no_part_of_the_project_prints_the_values_in_a_traceback() -> None:
    packages = ("hsm_wire", "hsm_cluster", "hsm_daemon", "hsm_client", "proxy", "hsm_node", "hsmctl")
    root = Path(__file__).resolve().parents[2]
    printing = ("capture_locals", "show_locals", "cgitb", "rich.traceback", "set_debug(")
    found = [
        f"{path.name}: {word}"
        for package in packages
        for path in (root / package).rglob("*.py")
        for word in printing
        if word in path.read_text(encoding="utf-8")
    ]
    assert found == []
