"""`hsmctl dev` as a user has it: real daemons, a terminal, signals, and every way that it can go wrong."""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from hsmctl.cli import main
from hsmctl.commands import dev as command
from hsmctl.dev.manifest import Entry, Manifest
from hsmctl.dev.plan import Plan, make_plan

DEADLINE_S = 20.0
"""The promise of 5 s is for an idle machine; here other tests run beside it."""
# Ends `hsmctl dev` with the test process, however that one ends, and makes a terminal the one that Ctrl-C comes from.
BOUND = """
import ctypes, fcntl, os, sys, termios
ctypes.CDLL(None).prctl(1, 15)
if os.isatty(0):
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
MEMBER_FIELDS = {"name", "site", "pid", "address", "admin"}


def hsmctl(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "hsmctl.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={name: value for name, value in os.environ.items() if not name.startswith("HSM_")},
        check=False,
    )


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], object], what: Callable[[], str]) -> None:
    """Poll until the condition holds."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what()}"
        time.sleep(0.02)


class Dev:
    """A running `hsmctl dev`."""

    def __init__(self, folder: Path, output: Path, *options: str, terminal: bool = False) -> None:
        self.folder = folder
        self.output = output
        self.terminal = -1
        line = [sys.executable, "-I", "-S", "-c", BOUND, sys.executable, "-m", "hsmctl.cli", "dev", "--dir", folder]
        if terminal:
            self.terminal, end = pty.openpty()
        else:
            end = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self.process = subprocess.Popen([*line, *options], stdin=end, stdout=end, stderr=end, start_new_session=True)
        os.close(end)
        self.daemons: list[int] = []

    def said(self) -> str:
        """Return all that it printed, but to a terminal."""
        return self.output.read_text() if self.output.exists() else ""

    def manifest(self) -> dict[str, Any]:
        """Wait for dev.json and return it."""
        wait_until(
            lambda: (self.folder / "dev.json").exists() or not alive(self.process.pid), lambda: "dev.json is there"
        )
        assert (self.folder / "dev.json").exists(), self.said()
        manifest = json.loads((self.folder / "dev.json").read_bytes())
        assert isinstance(manifest, dict)
        self.daemons += [member["pid"] for member in (*manifest["nodes"], *manifest["proxies"])]
        return manifest

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit code when all has ended."""
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE_S)
        assert not any(alive(pid) for pid in self.daemons)
        return code

    def clean(self) -> None:
        """End what a failed test left."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(DEADLINE_S)
        if self.terminal >= 0:
            os.close(self.terminal)
        for pid in self.daemons:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


StartDev = Callable[..., Dev]


@pytest.fixture
def start_dev(tmp_path: Path) -> Iterator[StartDev]:
    made: list[Dev] = []

    def start(*options: str, terminal: bool = False) -> Dev:
        made.append(Dev(tmp_path / "d", tmp_path / f"output-{len(made)}", *options, terminal=terminal))
        return made[-1]

    yield start
    for running in made:
        running.clean()


@pytest.fixture
def signals_kept() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def assert_one_line(done: "subprocess.CompletedProcess[str]", code: int, *words: str) -> None:
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("hsmctl: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def test_dev_json_is_as_promised_and_sigterm_leaves_nothing(start_dev: StartDev) -> None:
    dev = start_dev("--nodes", "2", "--proxies", "2")
    manifest = dev.manifest()
    assert set(manifest) == {"client_config", "proxies", "nodes", "store"}
    assert manifest["client_config"] == str(dev.folder / "client.toml")
    assert manifest["store"] == []
    assert [member["name"] for member in manifest["nodes"]] == ["node-1", "node-2"]
    assert [member["name"] for member in manifest["proxies"]] == ["proxy-1", "proxy-2"]
    for member in (*manifest["nodes"], *manifest["proxies"]):
        assert set(member) == MEMBER_FIELDS
        assert f"{member['name']}.toml" in Path(f"/proc/{member['pid']}/cmdline").read_text()
        for address in (member["address"], member["admin"]):
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), 5).close()
    assert hsmctl("selftest", "--config", manifest["client_config"]).returncode == 0
    wait_until(lambda: "Ctrl-C stops everything." in dev.said(), dev.said)
    assert all(member["address"] in dev.said() for member in manifest["proxies"])
    assert dev.stop() == 0
    assert not (dev.folder / "dev.json").exists()


def test_ctrl_c_on_a_terminal_stops_all_in_order(start_dev: StartDev) -> None:
    dev = start_dev("--nodes", "1", terminal=True)
    dev.manifest()
    os.write(dev.terminal, b"\x03")
    said = b""
    try:
        while part := os.read(dev.terminal, 4096):
            said += part
    except OSError:
        pass  # how Linux says that nobody has the terminal any more
    assert dev.process.wait(DEADLINE_S) == 0, said
    assert b"^C" in said
    assert b"Traceback" not in said
    assert not any(alive(pid) for pid in dev.daemons)
    assert not (dev.folder / "dev.json").exists()
    # In order: each daemon had the time to say that it stops.
    assert all("stop" in log.read_text() for log in (dev.folder / "logs").iterdir())


def test_a_killed_dev_leaves_no_daemon_and_the_next_one_starts(start_dev: StartDev) -> None:
    dev = start_dev("--nodes", "1")
    dev.manifest()
    dev.process.kill()
    dev.process.wait()
    wait_until(lambda: not any(alive(pid) for pid in dev.daemons), lambda: "no daemon runs")
    assert_one_line(hsmctl("dev", "start", "node-1", "--dir", dev.folder), 2, "no `hsmctl dev` runs in")
    following = start_dev("--nodes", "1")
    wait_until(lambda: "The cluster is ready." in following.said(), following.said)
    assert set(following.manifest()["nodes"][0]) == MEMBER_FIELDS
    assert not set(following.daemons) & set(dev.daemons)
    assert following.stop() == 0


def test_a_killed_node_is_told_of_and_comes_back_by_dev_start(start_dev: StartDev) -> None:
    dev = start_dev("--nodes", "2")
    before = dev.manifest()
    victim = before["nodes"][0]
    running = ["dev", "start", "node-2", "--dir", dev.folder]
    assert_one_line(hsmctl(*running), 1, "node-2 runs already", str(before["nodes"][1]["pid"]))
    assert_one_line(hsmctl("dev", "start", "node-7", "--dir", dev.folder), 2, "node-1, node-2, proxy-1")
    os.kill(victim["pid"], signal.SIGKILL)
    wait_until(lambda: f"hsmctl dev start node-1 --dir {dev.folder}" in dev.said(), dev.said)
    assert dev.process.poll() is None
    # Also with --dir before the command, and as JSON.
    done = hsmctl("dev", "--dir", dev.folder, "start", "node-1", "--json")
    assert done.returncode == 0, done.stderr
    seen = json.loads(hsmctl("status", "--json", "--config", before["client_config"]).stdout)
    assert [node["state"] for node in seen["nodes"]] == ["up", "up"], "it is in rotation when the command returns"
    after = dev.manifest()
    assert json.loads(done.stdout) == after["nodes"][0]
    assert after["nodes"][0]["pid"] != victim["pid"]
    assert after["nodes"][0]["address"] == victim["address"]
    assert (after["nodes"][1], after["proxies"]) == (before["nodes"][1], before["proxies"])
    assert dev.stop(signal.SIGINT) == 0


def test_a_second_one_in_the_same_folder_is_refused(start_dev: StartDev) -> None:
    dev = start_dev("--nodes", "1")
    manifest = dev.manifest()
    assert_one_line(hsmctl("dev", "--dir", dev.folder), 2, "in use by another `hsmctl dev`", "--dir")
    assert dev.manifest() == manifest
    assert dev.stop() == 0


def test_the_first_one_leaves_the_second_one_of_a_remade_folder_alone(start_dev: StartDev) -> None:
    first = start_dev("--nodes", "1")
    first.manifest()
    shutil.rmtree(first.folder)
    wait_until(lambda: "was removed" in first.said(), first.said)
    second = start_dev("--nodes", "1")
    manifest = second.manifest()
    assert first.stop() == 0
    assert second.manifest() == manifest
    assert hsmctl("random", "8", "--config", manifest["client_config"]).returncode == 0
    assert second.stop() == 0


def test_keys_are_kept_also_by_a_later_run_without_tls(start_dev: StartDev) -> None:
    dev = start_dev("--nodes", "1")
    config = dev.manifest()["client_config"]
    made = hsmctl("key", "generate", "--type", "ec-p256", "--label", "kept", "--config", config)
    assert made.returncode == 0, made.stderr
    dev.stop()
    dev = start_dev("--nodes", "2", "--tls", "off")
    config = dev.manifest()["client_config"]
    assert 'tls = "off"' in Path(config).read_text()
    listed = json.loads(hsmctl("key", "list", "--json", "--config", config).stdout)
    assert [key["id"] for key in listed] == [made.stdout.strip()]
    dev.stop()


def test_with_json_nothing_but_the_manifest_is_printed(start_dev: StartDev) -> None:
    dev = start_dev("--nodes", "1", "--json")
    manifest = dev.manifest()
    wait_until(dev.said, lambda: "something is printed")
    os.kill(manifest["nodes"][0]["pid"], signal.SIGKILL)
    assert hsmctl("dev", "start", "node-1", "--dir", dev.folder).returncode == 0
    dev.manifest()
    assert dev.stop() == 0
    assert json.loads(dev.said()) == manifest


@pytest.mark.usefixtures("signals_kept")
@pytest.mark.parametrize("which", ["port", "admin_port"])
def test_an_address_in_use_is_said_in_a_line_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        def plan_on_it(nodes: int, proxies: int, **how: Any) -> Plan:
            plan = make_plan(nodes, proxies, **how)
            return msgspec.structs.replace(
                plan, nodes=(msgspec.structs.replace(plan.nodes[0], **{which: port}), *plan.nodes[1:])
            )

        monkeypatch.setattr(command, "make_plan", plan_on_it)
        done = CliRunner().invoke(main, ["dev", "--dir", str(tmp_path / "d"), "--nodes", "1"])
    assert (done.exit_code, done.stdout) == (1, ""), done.stderr
    assert done.stderr.startswith("hsmctl: node-1 ended at its start: ")
    assert f"127.0.0.1:{port}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "d" / "dev.json").exists()


def test_a_folder_that_cannot_be_made_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_one_line(hsmctl("dev", "--dir", tmp_path / "file"), 2, str(tmp_path / "file"), "--dir")


def test_the_first_command_can_be_pasted_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = Manifest("/a folder/client.toml", [Entry("proxy-1", "local", 1, "127.0.0.1:1", "127.0.0.1:2")], [])
    welcome = command._welcome(manifest, "hsmctl")
    assert "  export HSM_CLIENT_CONFIG='/a folder/client.toml'\n" in welcome
    assert "127.0.0.1:1 " in welcome
    program = tmp_path / "bin dir" / "hsmctl"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command._program() == f"'{program}'"
    monkeypatch.setenv("PATH", str(program.parent))
    assert command._program() == "hsmctl"


def test_what_it_says_first_names_the_status_page_of_a_proxy_and_the_metrics_of_a_node() -> None:
    proxy, node = (Entry(name, "local", 1, "127.0.0.1:2410", "127.0.0.1:9410") for name in ("proxy-1", "node-1"))
    said = command._welcome(Manifest("client.toml", [proxy], [node]), "hsmctl").splitlines()
    assert said[1] == "  proxy proxy-1  127.0.0.1:2410   status page http://127.0.0.1:9410/"
    assert said[2] == "  node  node-1   127.0.0.1:2410   metrics http://127.0.0.1:9410/metrics"
