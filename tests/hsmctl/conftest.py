"""What the tests of `hsmctl` share: a real small cluster, and commands run in this process against it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

# The harnesses are plain modules beside the tests that they were made for; pytest's import mode leaves the path alone.
sys.path.insert(0, str(Path(__file__).parents[1] / "hsm_client"))
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).parent))

from fake_cluster import FakeCluster
from programs import STOP_DEADLINE_S, bound_to_parent, wait_until

from hsmctl.cli import main

PRESET_KEYS = {"p256": "ec-p256", "rsa": "rsa-2048", "ed": "ed25519", "aes": "aes-256", "mac": "hmac-256"}
"""Keys that every test may use and none may change: label -> type."""


class Shell:
    """Runs `hsmctl` with the cluster's client.toml, without a terminal."""

    def __init__(self, config: Path) -> None:
        self.config = config

    def __call__(self, *arguments: str | Path, data: bytes = b"", **environment: str) -> Result:
        """Run a command to its end, whatever that is."""
        variables = {"HSM_CLIENT_CONFIG": str(self.config), "HSM_PROXY": None, **environment}
        return CliRunner(env=variables).invoke(main, [str(each) for each in arguments], input=data)

    def good(self, *arguments: str | Path, data: bytes = b"") -> bytes:
        """Run a command that must succeed in silence on standard error; return what it printed."""
        done = self(*arguments, data=data)
        assert (done.exit_code, done.stderr) == (0, "")
        return done.stdout_bytes

    def json(self, *arguments: str | Path, data: bytes = b"") -> Any:
        """Run a command with --json that must succeed; return the JSON that it printed and nothing else."""
        return json.loads(self.good(*arguments, "--json", data=data))

    def bad(self, code: int, *arguments: str | Path, data: bytes = b"") -> str:
        """Run a command that must fail with that code, one line and no output; return the line."""
        done = self(*arguments, data=data)
        assert (done.exit_code, done.stdout) == (code, ""), done.stderr
        assert done.stderr.startswith("hsmctl: ")
        assert done.stderr.count("\n") == 1
        return done.stderr


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A cluster of two nodes and a proxy, made by `hsmctl dev`; harmless tests share it."""
    folder = tmp_path_factory.mktemp("hsmctl") / "cluster"
    log_path = folder.with_suffix(".log")
    command = [sys.executable, "-m", "hsmctl.cli", "dev", "--dir", str(folder), "--nodes", "2"]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            bound_to_parent(command, signal.SIGINT),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={name: value for name, value in os.environ.items() if not name.startswith("HSM_")},
            start_new_session=True,
        )

    def ready() -> bool:
        assert process.poll() is None, log_path.read_text()
        return (folder / "dev.json").exists()

    try:
        wait_until(ready, lambda: f"dev.json is there:\n{log_path.read_text()}")
        made = Shell(Path(json.loads((folder / "dev.json").read_text())["client_config"]))
        for label, key_type in PRESET_KEYS.items():
            usage = ["--usage", "sign", "--usage", "verify", "--usage", "encrypt", "--usage", "decrypt"]
            made.good("key", "generate", "--type", key_type, "--label", label, *(usage if label == "rsa" else []))
        yield made
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_DEADLINE_S)


@pytest.fixture
def fake_cluster() -> Iterator[FakeCluster]:
    """A proxy that answers what a test tells it to, in a thread."""
    with FakeCluster() as started:
        yield started


@pytest.fixture
def fake_shell(fake_cluster: FakeCluster, tmp_path: Path) -> Shell:
    """Commands against the fake proxy."""
    config = tmp_path / "fake-client.toml"
    config.write_text(f'proxies = ["{fake_cluster.proxy.address}"]\ntls = "off"\n')
    return Shell(config)
