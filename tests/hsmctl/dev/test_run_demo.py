"""What `make run` starts ends with it, whatever ends it: Ctrl-C, the end of its terminal, a kill that it cannot see."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dev_processes import alive, end, wait_until

from hsmctl.dev.manifest import maybe_read

SCRIPT = Path(__file__).parents[3] / "tools" / "run_demo.py"
# Ends the script with the test process, and makes the terminal the one whose end is a SIGHUP.
BOUND = """
import ctypes, fcntl, os, signal, sys, termios
ctypes.CDLL(None).prctl(1, 15)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it (nohup)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Demo:
    """A running demonstration on a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.terminal, side = pty.openpty()
        command = [sys.executable, "-I", "-S", "-c", BOUND, sys.executable, str(SCRIPT), "--dir", str(folder)]
        self.process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, start_new_session=True)
        os.close(side)
        self.children: list[int] = []

    def wait_for_cluster(self) -> None:
        """Wait until `hsmctl dev` and all daemons run."""
        wait_until(lambda: maybe_read(self.folder / "dev.json") is not None, "dev.json is there")
        manifest = maybe_read(self.folder / "dev.json")
        assert manifest is not None
        self.children = [int((self.folder / "dev.lock").read_text())]
        self.children += [entry.pid for entry in (*manifest.nodes, *manifest.proxies)]
        assert len(self.children) == 5
        assert all(map(alive, self.children))

    def hang_up(self) -> None:
        """Close the terminal, as its window does."""
        os.close(self.terminal)
        self.terminal = -1


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    made = Demo(tmp_path / "cluster")
    made.wait_for_cluster()
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.wait()
    if made.terminal >= 0:
        os.close(made.terminal)
    for pid in made.children:
        end(pid)


@pytest.mark.parametrize("how", ["SIGHUP", "SIGTERM", "SIGINT", "SIGKILL", "terminal"])
def test_nothing_outlives_the_demonstration(demo: Demo, how: str) -> None:
    if how == "terminal":
        demo.hang_up()
    else:
        demo.process.send_signal(signal.Signals[how])
    wait_until(lambda: not any(map(alive, demo.children)), "`hsmctl dev` and all daemons have ended")
    wait_until(lambda: demo.process.poll() is not None, "the demonstration has ended")
    assert demo.process.returncode == (-signal.SIGKILL if how == "SIGKILL" else 0)
    assert not (demo.folder / "dev.json").exists()
