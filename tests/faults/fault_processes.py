"""Fake nodes and relays as processes of a test: started, told what to do, stopped, killed, started again.

All calls block for a moment (starting: some tenths of a second, the others: well below a millisecond), so that plain
tests use them as they are; in a coroutine they are short enough, but for start and restart.
"""

import json
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from execution_log import Execution, Record, note_end, read_journal
from fault_control import CALL_TIMEOUT_S, ControlClient, format_address
from fault_listener import reserve

START_TIMEOUT_S = 20.0
HOST = "127.0.0.1"
_FOLDER = Path(__file__).parent


class FaultProcess:
    """A program of this folder. It keeps its port over restarts, also while it is dead: connects are refused then."""

    PROGRAM: ClassVar[str]

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self.name = name
        self._folder = folder
        self._arguments = arguments
        self._holder = reserve(HOST, 0)
        self.port: int = self._holder.getsockname()[1]
        self.address = format_address(HOST, self.port)
        self._process: subprocess.Popen[str] | None = None
        self._control: ControlClient | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives (it may be stopped)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the program and wait until it listens."""
        assert not self.running, f"{self.name} runs already"
        self._forget()
        command = [sys.executable, str(_FOLDER / self.PROGRAM), "--listen", self.address, *self._arguments]
        errors = self._folder / f"{self.name}.err"
        with errors.open("ab") as sink:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sink, text=True
            )
        output = self._process.stdout
        assert output is not None
        readable, _, _ = select.select([output], [], [], START_TIMEOUT_S)
        line = output.readline() if readable else ""
        if not line:
            self.kill()
            raise AssertionError(f"{self.name} did not start: {errors.read_text()[-2000:]}")
        self._control = ControlClient(json.loads(line)["control"])
        return self

    def call(self, command: str, **arguments: Any) -> Any:
        """Run a command of the control port."""
        assert self._control is not None, f"{self.name} does not run"
        return self._control.call(command, **arguments)

    def stop(self) -> None:
        """SIGSTOP: the process stands still, its connections stay open."""
        self._signal(signal.SIGSTOP)
        self.wait_stopped()

    def wait_stopped(self, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Wait until the process stands still, of itself or by us."""
        end = time.monotonic() + timeout_s
        # The field after the name in parentheses is the state; T is stopped.
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0] != "T":
            assert time.monotonic() < end, f"{self.name} was not stopped within {timeout_s} s"
            time.sleep(0.002)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; the port stays ours."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._forget()

    def wait(self, timeout_s: float = CALL_TIMEOUT_S) -> int:
        """Wait for the end of a program that crashes by itself; return its exit code."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.wait(timeout_s)

    def close(self) -> None:
        """End it for good and give up the port."""
        self.kill()
        self._holder.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} does not run"
        self._process.send_signal(number)

    def _forget(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None


class NodeProcess(FaultProcess):
    """A fake node. Its journal is read from the file, so it can be read when the node is stopped or dead as well."""

    PROGRAM = "fake_node.py"

    def __init__(
        self, folder: Path, name: str = "node-1", *, cluster: str = "test", tls: Path | None = None, seed: int = 0
    ) -> None:
        """Make it, not started.

        Args:
            folder: for its journal and its errors.
            tls: the folder with ca.pem, NAME.pem and NAME-key.pem; None: no TLS.
        """
        self.journal_path = folder / f"{name}.journal"
        arguments = ["--name", name, "--cluster", cluster, "--tls", str(tls or "off"), "--seed", str(seed)]
        super().__init__(folder, name, *arguments, "--journal", str(self.journal_path))

    def arm(self, *faults: dict[str, Any]) -> None:
        """Append faults, made by `fault_queue.fault`."""
        self.call("arm", faults=list(faults))

    def set(self, **settings: Any) -> None:
        """Change `faulty_node.Settings`."""
        self.call("set", **settings)

    def clear(self) -> None:
        """Disarm all faults, go back to the first settings, listen again."""
        self.call("clear")

    def listen(self, state: str) -> None:
        """`open`, `refuse`, `black-hole` or `unaccepted`."""
        self.call("listen", state=state)

    def seen(self) -> dict[str, Any]:
        """Return what the node knows of itself and its peers."""
        answer = self.call("seen")
        assert isinstance(answer, dict)
        return answer

    def record(self) -> Record:
        """Return all that the journal says, over all starts."""
        return read_journal(self.name, self.journal_path)

    def log(self) -> list[Execution]:
        """Return the requests that arrived (deep checks left out), over all starts."""
        return self.record().requests

    def kill(self) -> None:
        """SIGKILL; what was in flight ends now."""
        ran = self.running
        super().kill()
        if ran and self.journal_path.exists():
            note_end(self.journal_path)


class RelayProcess(FaultProcess):
    """A relay; `call("black_hole", new="hang")` and so on are the methods of `relay.Relay`."""

    PROGRAM = "relay.py"

    def __init__(self, folder: Path, target: str, name: str = "relay", *, seed: int = 0) -> None:
        super().__init__(folder, name, "--target", target, "--seed", str(seed))
