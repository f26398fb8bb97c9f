"""`hsmctl` as a user has it: a cluster to try out, keys, files, figures, and how it says that something is wrong."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hsmctl_forks import run_hsmctl_text
from programs import START_DEADLINE_S, bound_to_parent, free_port, wait_until

READY_DEADLINE_S = 20.0
"""The promise is 5 s on an idle machine; here other tests run beside it."""
on_one_loop = pytest.mark.other_loop_in_system
"""Of all but the test of signals."""


def hsmctl(*arguments: str | Path, config: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HSM_")}
    if config is not None:
        environment["HSM_CLIENT_CONFIG"] = str(config)
    return run_hsmctl_text(*arguments, environment=environment)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@dataclass
class Dev:
    """A running `hsmctl dev`."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    manifest: dict[str, Any]

    @property
    def config(self) -> Path:
        """The client's configuration."""
        return Path(self.manifest["client_config"])

    @property
    def pids(self) -> list[int]:
        """All daemons."""
        return [member["pid"] for kind in ("nodes", "proxies", "store") for member in self.manifest[kind]]

    def run(self, *arguments: str | Path) -> str:
        """Run a command that must succeed; return what it printed."""
        done = hsmctl(*arguments, config=self.config)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str | Path) -> Any:
        """Run a command with --json; return the JSON that it printed and nothing else."""
        return json.loads(self.run(*arguments, "--json"))


def start_dev(folder: Path, event_loop: str) -> Dev:
    """Start `hsmctl dev` and wait for its manifest."""
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(
            bound_to_parent(
                [sys.executable, "-m", "hsmctl.cli", "dev", "--dir", str(folder), "--event-loop", event_loop],
                signal.SIGINT,
            ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    manifest = folder / "dev.json"

    def ready() -> bool:
        assert process.poll() is None, (folder.parent / f"{folder.name}.log").read_text()
        return manifest.exists()

    try:
        wait_until(ready, lambda: "dev.json is there", READY_DEADLINE_S)
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait(START_DEADLINE_S)
        raise
    return Dev(process, folder, json.loads(manifest.read_text()))


def stop_dev(dev: Dev) -> int:
    """Press Ctrl-C; return the exit code."""
    dev.process.send_signal(signal.SIGINT)
    try:
        return dev.process.wait(START_DEADLINE_S)
    except subprocess.TimeoutExpired:
        for pid in [*dev.pids, dev.process.pid]:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        dev.process.wait()
        raise


@pytest.fixture(scope="module")
def dev(event_loop_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One `hsmctl dev` for this module's tests."""
    running = start_dev(tmp_path_factory.mktemp(f"dev-{event_loop_name}") / "cluster", event_loop_name)
    yield running
    if running.process.poll() is None:
        stop_dev(running)


@on_one_loop
def test_the_manifest_says_what_runs_where(dev: Dev) -> None:
    assert [len(dev.manifest[kind]) for kind in ("nodes", "proxies", "store")] == [3, 1, 0]
    assert dev.config.is_absolute()
    for member in (*dev.manifest["nodes"], *dev.manifest["proxies"]):
        assert alive(member["pid"])
        assert set(member) == {"name", "site", "pid", "address", "admin"}


@on_one_loop
@pytest.mark.parametrize(
    ("key_type", "mechanism"),
    [("rsa-3072", "rsa-pss-sha256"), ("ec-p256", "ecdsa-sha256"), ("ed25519", "eddsa"), ("hmac-256", "hmac-sha256")],
)
def test_a_file_is_signed_and_verified(dev: Dev, tmp_path: Path, key_type: str, mechanism: str) -> None:
    content, signature = tmp_path / "file", tmp_path / "signature"
    content.write_bytes(os.urandom(10_000))
    label = f"user-{key_type}"
    key_id = dev.run("key", "generate", "--type", key_type, "--label", label).strip()
    assert len(bytes.fromhex(key_id)) == 16
    dev.run("sign", "--key", label, "--mechanism", mechanism, "--in", content, "--out", signature)
    verify = ["verify", "--key", key_id, "--mechanism", mechanism, "--in", content, "--signature", signature]
    dev.run(*verify)
    content.write_bytes(b"something else")
    done = hsmctl(*verify, config=dev.config)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1


@on_one_loop
def test_openssl_verifies_a_file_signed_on_the_command_line(dev: Dev, tmp_path: Path) -> None:
    content, signature, public = tmp_path / "file", tmp_path / "signature", tmp_path / "public.pem"
    content.write_bytes(b"a real file\n")
    dev.run("key", "generate", "--type", "ec-p384", "--label", "user-openssl")
    dev.run("sign", "--key", "user-openssl", "--mechanism", "ecdsa-sha384", "--in", content, "--out", signature)
    dev.run("key", "public", "user-openssl", "--out", public)
    said = subprocess.run(
        ["openssl", "dgst", "-sha384", "-verify", str(public), "-signature", str(signature), str(content)],
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert said.stdout == b"Verified OK\n"


@on_one_loop
def test_a_file_is_encrypted_and_decrypted(dev: Dev, tmp_path: Path) -> None:
    plain, sealed, opened = tmp_path / "plain", tmp_path / "sealed", tmp_path / "opened"
    plain.write_bytes(os.urandom(100_000))
    dev.run("key", "generate", "--type", "aes-256", "--label", "user-aes")
    dev.run("encrypt", "--key", "user-aes", "--in", plain, "--out", sealed)
    dev.run("decrypt", "--key", "user-aes", "--in", sealed, "--out", opened)
    assert hashlib.sha256(opened.read_bytes()).digest() == hashlib.sha256(plain.read_bytes()).digest()
    assert sealed.stat().st_size == plain.stat().st_size + 12 + 16


@on_one_loop
def test_status_and_selftest_are_well(dev: Dev) -> None:
    status = dev.json("status")
    assert len(status["nodes"]) == 3
    assert {node["state"] for node in status["nodes"]} == {"up"}
    dev.run("selftest")


@on_one_loop
def test_bench_counts_in_json(dev: Dev) -> None:
    dev.run("key", "generate", "--type", "ed25519", "--label", "user-bench")
    answer = dev.json(
        *(
            "bench",
            "--key",
            "user-bench",
            "--mechanism",
            "eddsa",
            "--clients",
            "16",
            "--in-flight",
            "4",
            "--seconds",
            "1",
        )
    )
    assert answer["requests"] > 100
    assert sum(answer["errors"].values()) == 0
    assert answer["throughput"] > 100
    latency = answer["latency_ms"]
    assert set(latency) == {"p50", "p90", "p99", "p99_9", "max"}
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]


@on_one_loop
def test_a_disabled_and_a_destroyed_key_sign_no_more(dev: Dev, tmp_path: Path) -> None:
    content = tmp_path / "file"
    content.write_bytes(b"x")
    key_id = dev.run("key", "generate", "--type", "ec-p256", "--label", "user-ends").strip()
    sign = ["sign", "--key", key_id, "--mechanism", "ecdsa-sha256", "--in", content, "--out", tmp_path / "signature"]
    dev.run(*sign)
    dev.run("key", "disable", key_id)
    assert hsmctl(*sign, config=dev.config).returncode == 1
    dev.run("key", "enable", key_id)
    dev.run(*sign)
    dev.run("key", "destroy", key_id, "--yes")
    for _ in range(4):
        assert hsmctl(*sign, config=dev.config).returncode == 1


@on_one_loop
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["sign", "--key", "no-such-key", "--mechanism", "ecdsa-sha256", "--in", __file__, "--out", os.devnull], 1),
        (["key", "show", "00" * 16], 1),
        (["key", "generate", "--type", "rsa-1"], 2),
        (["sign", "--key", "x", "--mechanism", "magic", "--in", __file__], 2),
        (["status", "--config", "/nowhere/client.toml"], 2),
        (["random", "--wrong-option"], 2),
    ],
)
def test_what_is_wrong_is_said_in_a_line(dev: Dev, arguments: list[str], code: int) -> None:
    done = hsmctl(*arguments, config=dev.config)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


@on_one_loop
@pytest.mark.parametrize(
    "arguments", [["status"], ["key", "list"], ["random", "8"], ["selftest"], ["status", "--json"]]
)
def test_a_cluster_that_cannot_be_reached_is_exit_code_3(dev: Dev, arguments: list[str]) -> None:
    begun = time.monotonic()
    done = hsmctl(*arguments, "--proxy", f"127.0.0.1:{free_port()}", config=dev.config)
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert time.monotonic() - begun < 15


def test_ctrl_c_leaves_nothing_running_and_keys_are_kept(event_loop_name: str, tmp_path: Path) -> None:
    dev = start_dev(tmp_path / "cluster", event_loop_name)
    try:
        key_id = dev.run("key", "generate", "--type", "ec-p256", "--label", "kept").strip()
    finally:
        stop_dev(dev)
    assert [pid for pid in dev.pids if alive(pid)] == []
    again = start_dev(tmp_path / "cluster", event_loop_name)
    try:
        assert [key["id"] for key in again.json("key", "list")] == [key_id]
    finally:
        code = stop_dev(again)
    assert code in (0, 130)
    assert [pid for pid in again.pids if alive(pid)] == []


@on_one_loop
def test_bench_sees_no_error_when_a_node_is_killed_and_started_again(event_loop_name: str, tmp_path: Path) -> None:
    dev = start_dev(tmp_path / "cluster", event_loop_name)
    try:
        dev.run("key", "generate", "--type", "ec-p256", "--label", "bench")
        load = ["bench", "--key", "bench", "--mechanism", "ecdsa-sha256", "--clients", "64", "--seconds", "4", "--json"]
        victim = dev.manifest["nodes"][1]
        timer = threading.Timer(2.5, os.kill, (victim["pid"], signal.SIGKILL))
        timer.start()
        answer = json.loads(dev.run(*load))
        timer.join()
        assert not alive(victim["pid"])
        assert answer["requests"] > 1_000
        assert sum(answer["errors"].values()) == 0
        dev.run("dev", "start", victim["name"], "--dir", dev.folder)
        dev.manifest = json.loads((dev.folder / "dev.json").read_text())
        wait_until(
            lambda: all(node["state"] == "up" for node in dev.json("status")["nodes"]), lambda: "the node is back"
        )
    finally:
        stop_dev(dev)
    assert [pid for pid in dev.pids if alive(pid)] == []
