"""Programs of the project as real processes that never outlive the tests."""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from patience import Patience

START_DEADLINE_S = 20.0 * float(os.environ.get("REDOUBT_SLACK", "1"))
"""On a machine that does other work meanwhile: REDOUBT_SLACK times as long."""
STOP_DEADLINE_S = 15.0
POLL_INTERVAL_S = 0.02

# Sends the child that signal when the test process ends, however it does; then becomes the program.
_BOUND_TO_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
)
_taken: set[int] = set()


def bound_to_parent(command: list[str], number: signal.Signals) -> list[str]:
    """Return the command line of a program that gets that signal when the test process has gone (PR_SET_PDEATHSIG)."""
    return [sys.executable, "-I", "-S", "-c", _BOUND_TO_PARENT, str(int(number)), *command]


def free_port() -> int:
    """Return a loopback port that nobody listens on, below the range that outgoing connections take theirs from."""
    while True:
        port = 15_000 + secrets.randbelow(17_000)
        if port in _taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port


def wait_until(condition: Callable[[], bool], what: Callable[[], str], deadline_s: float | None = None) -> None:
    """Poll until the condition holds; `what` says what was waited for.

    A deadline is a bound, and so by the clock; without one it is START_DEADLINE_S, by a patient one.
    """
    patience = Patience(START_DEADLINE_S) if deadline_s is None else Patience(deadline_s, starved_share=1.0)
    begun = time.monotonic()
    while not condition():
        if patience.is_over:
            raise AssertionError(f"not within {time.monotonic() - begun:.1f} s: {what()}")
        time.sleep(POLL_INTERVAL_S)


def get(port: int, path: str) -> tuple[int, bytes]:
    """GET from an admin server on loopback; status 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


class Program:
    """One daemon: started, killed, restarted; its output is kept over restarts."""

    def __init__(self, name: str, module: str, config: Path, port: int, admin_port: int, event_loop: str) -> None:
        self.name = name
        self.module = module
        self.config = config
        self.port = port
        self.admin_port = admin_port
        self.event_loop = event_loop
        self.log_path = config.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running program."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process; does not wait for it to be ready."""
        assert self._process is None, f"{self.name} runs already"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                bound_to_parent(self.command(), signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "HSM_EVENT_LOOP": self.event_loop},
                process_group=0,  # not a session: its niced threads are to yield to the other programs
            )

    def command(self) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", self.module, "--config", str(self.config)]

    def run_to_end(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run the program where it is expected to end by itself, and return what it said."""
        patience = Patience(START_DEADLINE_S)
        with subprocess.Popen(
            bound_to_parent([*self.command(), *more], signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HSM_EVENT_LOOP": self.event_loop},
        ) as process:
            while True:
                try:
                    said, complained = process.communicate(timeout=1.0)
                except subprocess.TimeoutExpired:
                    if patience.is_over:
                        process.kill()
                        raise
                else:
                    return subprocess.CompletedProcess(process.args, process.returncode, said, complained)

    def wait_ready(self) -> None:
        """Wait until /readyz says yes."""

        def ready() -> bool:
            assert self._process is not None
            if self._process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self._process.returncode}:\n{self.log()}")
            return get(self.admin_port, "/readyz")[0] == 200

        wait_until(ready, lambda: f"{self.name} is ready; its log ends:\n{self.log()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM; return the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} did not end within {STOP_DEADLINE_S} s of {number.name}") from None

    def reap(self) -> None:
        """Forget the process if it has ended by itself, as after a hot restart."""
        if self._process is not None:
            self._process.poll()

    def log(self) -> str:
        """Return all that the program said."""
        return self.log_path.read_text() if self.log_path.exists() else ""

    def status(self) -> dict[str, Any]:
        """Return the admin server's /status."""
        code, body = get(self.admin_port, "/status")
        assert code == 200, f"{self.name} /status answered {code}"
        answer = json.loads(body)
        assert isinstance(answer, dict)
        return answer
