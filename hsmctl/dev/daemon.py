"""One daemon as a process that cannot outlive `hsmctl dev`.

The child asks the kernel to be killed when its parent dies (PR_SET_PDEATHSIG), then becomes the daemon. A pipe that
breaks with the parent would need a reader in every daemon, or a process around it whose id is not that of the daemon;
the kernel's promise survives exec and needs neither. It has a process group of its own, so that Ctrl-C on the terminal
reaches only `hsmctl dev`, which then stops all in order; not a session, because Linux shares processors out among
sessions first, and a node's key generation, however niced, would take as much as everything of another node.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LOG_TAIL_BYTES = 4096
"""As much of a log's end as is looked at for the reason of a failed start."""

POLL_INTERVAL_S = 0.02
_PR_SET_CHILD_SUBREAPER = 36
_DIE_WITH_PARENT = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Daemon:
    """A process, its output in a log file."""

    def __init__(self, command: list[str], log: Path, event_loop: str | None = None) -> None:
        """Start nothing yet.

        Args:
            command: the program's path and its arguments.
            log: where its output goes.
            event_loop: of a daemon of ours.
        """
        self._command = command
        self._log = log
        self._environment = {**os.environ, **({"HSM_EVENT_LOOP": event_loop} if event_loop else {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._successor = 0
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Process id, 0 before the start."""
        if self._successor:
            return self._successor
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start the process. Only from the main thread: the kernel's promise is tied to the thread that forked."""
        self._successor = 0
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                bound_command(self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                process_group=0,
            )

    def running(self) -> bool:
        """Whether the process lives, or the one that it handed over to."""
        if self._process is not None and self._process.poll() is None:
            return True
        return self._successor != 0 and _runs(self._successor)

    def handed_over(self) -> bool:
        """Whether the process ended, in order as far as is known, so that it may have left a successor."""
        if self._successor:  # how that one ended was not for us to see: it is no child of our own making
            return not _runs(self._successor)
        return self._process is not None and self._process.poll() == 0

    def adopt(self, pid: int) -> bool:
        """Take the successor for the daemon; False where that process does not live.

        It became a child of `hsmctl dev` when its parent ended (PR_SET_CHILD_SUBREAPER), and is of its group still.
        """
        if not _runs(pid):
            return False
        self._successor = pid
        return True

    def how_it_ended(self) -> str:
        """Return how the process ended, empty while it runs or before its start."""
        if self._process is None or self.running():
            return ""
        code = self._process.returncode
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process and what it started."""
        self._signal(signal.SIGTERM)

    def wait_stopped(self, timeout_s: float) -> None:
        """Wait for the end; kill what does not end in time."""
        if self._process is None:
            return
        if self._successor:
            self._wait_successor(max(timeout_s, 0))
            return
        try:
            self._process.wait(max(timeout_s, 0))
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def reason(self) -> str:
        """Return why it ended: the last line that it wrote since its start, else how it ended."""
        return last_line(self._log, self._log_start) or self.how_it_ended()

    def _wait_successor(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while _runs(self._successor) and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S)
        while _runs(self._successor):
            self._signal(signal.SIGKILL)
            time.sleep(POLL_INTERVAL_S)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or not self.running():
            return
        # The group is the daemon's own session: nothing else of the user's is in it.
        os.killpg(self._process.pid, number)


def bound_command(command: list[str]) -> list[str]:
    """Return the command of a process that the kernel kills when this one dies."""
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


def own_command(module: str, config: Path) -> list[str]:
    """Return the command of one of our programs: `python -m MODULE --config FILE`."""
    # -P: a file of the folder that the user is in must not be taken for a module of ours.
    return [sys.executable, "-P", "-m", module, "--config", str(config)]


def keep_orphans() -> None:
    """Become the parent of what our daemons leave behind: a hot restart's new process must end with us too."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _runs(pid: int) -> bool:
    """Whether that process lives; one of our children that has ended is reaped."""
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return Path(f"/proc/{pid}").exists()
    return ended == 0


def last_line(log: Path, start: int) -> str:
    """Return the last line of a log at or behind that place in it, empty where there is none."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - LOG_TAIL_BYTES))
            tail = file.read(LOG_TAIL_BYTES)
    except OSError:
        return ""
    lines = [line for line in tail.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
