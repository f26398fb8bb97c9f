"""A booted machine: systemd in a container of its own, without a network, entered from outside."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from programs import bound_to_parent, wait_until

BOOT_S: Final = 60.0
POWER_OFF_S: Final = 60.0
COMMAND_S: Final = 120.0
JOURNAL_LINES: Final = 40
_ENVIRONMENT: Final = {
    "PATH": "/opt/redoubt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HSM_CLIENT_CONFIG": "/etc/redoubt/client.toml",
    "SYSTEMD_COLORS": "0",
}
_SERVES: Final = ("running", "degraded")


class Machine:
    """Use `booted` to have one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._console = root.with_name("console.log")
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._init = 0

    def boot(self) -> None:
        """Start it and wait until systemd has done what it does at boot."""
        flags = ["--boot", "--register=no", "--keep-unit", "--console=pipe", "--private-network", "--quiet"]
        flags += ["--capability=CAP_SYS_RESOURCE"]  # systemd of a host has it; without, no unit may raise a limit
        command = [shutil.which("systemd-nspawn") or "", *flags, f"--directory={self.root}"]
        with self._console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                bound_to_parent(command, signal.SIGTERM), stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        wait_until(self._up, lambda: f"it boots: {self._state()}; {self._console.read_text()[-3000:]}", BOOT_S)

    def reboot(self) -> None:
        """As `systemctl reboot`: nspawn ends (133: start me again) and is started again."""
        self.run("systemctl", "reboot", check=False)
        self._wait_ended()
        self.boot()

    def power_off(self) -> None:
        """Shut it down, and kill what does not end."""
        if self._nspawn is None:
            return
        if self._nspawn.poll() is None:
            self._nspawn.terminate()  # it asks systemd in the container to power off
        try:
            self._wait_ended()
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()

    def entered(self, *command: str) -> list[str]:
        """Return the command line of a program that runs in the machine."""
        environment = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        enter = [
            shutil.which("nsenter") or "",
            f"--target={self._init}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
        ]
        return [*enter, "env", "--ignore-environment", *environment, *command]

    def run(self, *command: str, check: bool = True, stdin: str = "") -> str:
        """Run a program in the machine to its end; return what it said on standard output."""
        done = subprocess.run(
            self.entered(*command), input=stdin, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
        assert not check or done.returncode == 0, (
            f"{command}: {done.returncode} {done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
        return done.stdout.strip()

    def shown(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit)

    def pid(self, unit: str) -> int:
        """Return its main process, as the machine numbers it; 0 when it has none."""
        return int(self.shown(unit, "MainPID"))

    def journal(self, unit: str, lines: int = JOURNAL_LINES) -> str:
        """Return the last lines of and about a unit."""
        return self.run("journalctl", "--no-pager", "--unit", unit, "--lines", str(lines), "--output", "cat")

    def wait_active(self, *units: str) -> None:
        """Wait until they have said READY."""
        for unit in units:
            self._wait_active(unit)

    def _wait_active(self, unit: str) -> None:
        wait_until(
            lambda: self.shown(unit, "ActiveState") == "active",
            lambda: f"{unit} is active: {self.journal(unit)}",
            BOOT_S,
        )

    def _up(self) -> bool:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, f"nspawn ended: {self._console.read_text()[-3000:]}"
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        self._init = int(children[0]) if children else 0
        return self._state() in _SERVES

    def _state(self) -> str:
        return self.run("systemctl", "is-system-running", check=False) if self._init else "no process yet"

    def _wait_ended(self) -> None:
        assert self._nspawn is not None
        self._nspawn.wait(POWER_OFF_S)
        self._init = 0


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Boot what is in that folder; it ends with the block."""
    machine = Machine(root)
    try:
        machine.boot()
        yield machine
    finally:
        machine.power_off()
