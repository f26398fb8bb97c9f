"""The load: `hsmctl bench --json` as a process of its own, as a user would run it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from programs import bound_to_parent
from scale import RATE, bound_ms

CLIENTS = 64
OURS = (sys.executable, "-m", "hsmctl.cli")
START_S = 30.0
MARGIN_S = 90.0
"""On top of the time that a run was asked for: opening connections, the last answers, an interpreter's start."""


def hsmctl(config: Path, *arguments: str, timeout_s: float = START_S, program: Sequence[str] = OURS) -> Any:
    """Run the command line to its end; return what it printed as JSON."""
    done = subprocess.run(
        bound_to_parent(_command(program, config, *arguments), signal.SIGKILL),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=own_environment(),
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"hsmctl {arguments}: {done.stderr}"
    return json.loads(done.stdout)


class BenchProcess:
    """Signatures with one P-256 key at a rate. Use it as a context manager; `result` is there after its end."""

    def __init__(
        self,
        config: Path,
        key: str,
        duration_s: float,
        *options: str,
        clients: int = CLIENTS,
        rate: float | None = RATE,
        mechanism: str = "ecdsa-sha256",
        program: Sequence[str] = OURS,
    ) -> None:
        self._duration_s = duration_s
        self._arguments = ["bench", "--key", key, "--mechanism", mechanism, "--clients", str(clients)]
        self._arguments += ["--seconds", f"{duration_s:g}", *options]
        if rate is not None:
            self._arguments += ["--rate", f"{rate:g}"]
        self._config = config
        self._program = program
        self._process: subprocess.Popen[str] | None = None
        self.result: dict[str, Any] = {}

    def __enter__(self) -> "BenchProcess":
        self._process = subprocess.Popen(
            bound_to_parent(_command(self._program, self._config, *self._arguments), signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=own_environment(),
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        process = self._process
        assert process is not None
        if kind is not None:
            process.kill()
        try:
            output, errors = process.communicate(timeout=self._duration_s + MARGIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError("hsmctl bench did not end") from None
        if kind is None:
            assert output, f"hsmctl bench said nothing: {errors}"
            self.result = json.loads(output)

    def end(self) -> None:
        """Have it end before its time, as Ctrl-C does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def errors(self) -> dict[str, int]:
        """Failed requests by status."""
        return dict(self.result["errors"])

    def latency_ms(self, which: str) -> float:
        """Return p50, p90, p99, p99_9 or max, from the intended start."""
        return float(self.result["latency_ms"][which])

    def assert_survived(self, slowest_ms: float, what: str = "") -> None:
        """Assert that nothing failed and that the slowest request kept the bound of its row; print both."""
        print(f"\n{what or 'row'}: {json.dumps(self.result)}; bound {slowest_ms:g} ms")
        assert self.errors == {}, self.result
        assert self.latency_ms("max") <= bound_ms(slowest_ms), self.result


def _command(program: Sequence[str], config: Path, *arguments: str) -> list[str]:
    return [*program, "--config", str(config), "--json", *arguments]


def own_environment() -> dict[str, str]:
    """Return our environment without what points a client at another cluster."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HSM_")}
