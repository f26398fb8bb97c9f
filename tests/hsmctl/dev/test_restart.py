"""Asking a running `hsmctl dev` for a daemon: this process plays that one, its daemons are real processes."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dev_processes import DEADLINE_S, POLL_INTERVAL_S, wait_until

from hsmctl.dev import readiness
from hsmctl.dev.folder import Folder
from hsmctl.dev.manifest import Entry, Manifest, StoreEntry
from hsmctl.dev.restart import missing_in, restart, running_manifest, state_of
from hsmctl.failures import CommandError

SLEEPS = "import time; time.sleep(60)"


class Running:
    """Plays the `hsmctl dev` that has the folder."""

    def __init__(self, path: Path) -> None:
        self.folder = Folder(path)
        self.folder.take()
        self.folder.log_of("node-1").write_text("of an earlier run\n")
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self.state = ""
        """What the daemon says of itself while it is not ready; empty: it is."""
        self._admin = http.server.HTTPServer(("127.0.0.1", 0), lambda *of: _Admin(self, *of))
        self._in_thread(lambda: self._admin.serve_forever(POLL_INTERVAL_S))

    def process(self, code: str = SLEEPS, config: str = "node-1.toml") -> "subprocess.Popen[bytes]":
        """Start a process with a daemon's command line."""
        command = [sys.executable, "-c", code, "--config", str(self.folder.path / config)]
        self._processes.append(subprocess.Popen(command))
        return self._processes[-1]

    def publish(self, pid: int) -> None:
        """Write dev.json with that process as node-1."""
        entry = Entry("node-1", "local", pid, "127.0.0.1:1", f"127.0.0.1:{self._admin.server_port}")
        Manifest(str(self.folder.client_config), [], [entry]).write(self.folder.manifest)

    def on_request(self, answer: Callable[[str], None]) -> None:
        """Call that with each name that is asked for."""

        def serve() -> None:
            while not self._stopped.wait(POLL_INTERVAL_S):
                for name in self.folder.take_requests():
                    answer(name)

        self._in_thread(serve)

    def close(self) -> None:
        """Stop everything."""
        self._stopped.set()
        self._admin.shutdown()
        for thread in self._threads:
            thread.join()
        self._admin.server_close()
        for process in self._processes:
            process.kill()
            process.wait()
        self.folder.release()

    def _in_thread(self, work: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=work))
        self._threads[-1].start()


class _Admin(http.server.BaseHTTPRequestHandler):
    def __init__(self, running: Running, *of: Any) -> None:
        self._running = running
        super().__init__(*of)

    def do_GET(self) -> None:
        state = self._running.state
        self.send_response(200 if self.path == ("/status" if state else "/readyz") else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"state": state}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path / "d")
    yield made
    made.close()


def refused(folder: Folder, name: str = "node-1", deadline_s: float = DEADLINE_S) -> tuple[str, int]:
    with pytest.raises(CommandError) as caught:
        restart(folder, name, deadline_s)
    return str(caught.value), caught.value.exit_code


def test_without_a_running_dev_the_user_is_told_to_start_it(tmp_path: Path) -> None:
    line, code = refused(Folder(tmp_path / "nothing"))
    assert line == f"no `hsmctl dev` runs in {tmp_path / 'nothing'}; start it, or name its folder by --dir"
    assert code == 2
    assert not (tmp_path / "nothing").exists()


def test_dev_json_that_a_killed_dev_left_counts_for_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    Manifest("c", [], [Entry("node-1", "local", 1, "a", "b")]).write(folder.manifest)
    assert refused(folder)[1] == 2


def test_a_cluster_that_is_starting_is_not_ready(running: Running) -> None:
    line, code = refused(running.folder)
    assert "is not ready; try again" in line
    assert code == 1


def test_an_unknown_name_is_answered_with_the_known_ones(running: Running) -> None:
    running.publish(0)
    assert refused(running.folder, "nope") == ("there is no daemon 'nope'; there are node-1", 2)


def test_a_running_daemon_is_not_started_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsmctl.dev.restart.ENDING_S", 0.0)
    pid = running.process().pid
    running.publish(pid)
    assert refused(running.folder) == (f"node-1 runs already (process {pid}); stop it first with `kill {pid}`", 1)
    assert running.folder.take_requests() == []


def test_the_end_of_one_that_is_ending_is_waited_for(running: Running) -> None:
    ending = running.process("import time; time.sleep(0.5)")
    running.publish(ending.pid)
    running.on_request(lambda _name: running.publish(running.process().pid))
    assert restart(running.folder, "node-1", DEADLINE_S).pid != ending.pid


@pytest.mark.parametrize("state", ["", "standby", "fenced"])
def test_what_a_daemon_does_that_runs_is_asked_of_it(running: Running, state: str) -> None:
    running.state = state
    running.publish(0)
    [node] = running_manifest(running.folder).nodes
    assert state_of(node) == state


def test_a_dead_one_is_asked_for_and_returned_when_it_serves(running: Running) -> None:
    dead = running.process("pass")
    running.publish(dead.pid)
    # Nobody asks for its end meanwhile: it stays in the process table, as a killed child of `hsmctl dev` does.
    status = Path(f"/proc/{dead.pid}/stat")
    wait_until(lambda: status.read_text().rpartition(")")[2].split()[0] == "Z", "it is a zombie")
    asked: list[str] = []

    def answer(name: str) -> None:
        asked.append(name)
        running.publish(running.process().pid)

    running.on_request(answer)
    entry = restart(running.folder, "node-1")
    assert asked == ["node-1"]
    assert entry.pid not in (0, dead.pid)


def test_a_member_of_the_store_is_back_when_it_takes_connections(running: Running) -> None:
    dead = running.process("pass")
    dead.wait()
    with socket.create_server(("127.0.0.1", 0)) as member:
        address = f"127.0.0.1:{member.getsockname()[1]}"

        def publish(pid: int) -> None:
            entry = StoreEntry("etcd-alps", "alps", pid, address)
            Manifest(str(running.folder.client_config), [], [], [entry]).write(running.folder.manifest)

        publish(dead.pid)
        running.on_request(lambda name: publish(running.process(config=f"{name}.json").pid))
        back = restart(running.folder, "etcd-alps", DEADLINE_S)
    assert back.name == "etcd-alps"
    assert back.pid != dead.pid


def test_a_stranger_with_the_dead_ones_number_is_not_the_daemon(running: Running) -> None:
    running.publish(running.process(config="node-2.toml").pid)
    running.on_request(lambda _name: running.publish(running.process().pid))
    assert restart(running.folder, "node-1").pid


def test_one_that_ends_at_its_start_gives_its_reason(running: Running) -> None:
    log = running.folder.log_of("node-1")

    def answer(_name: str) -> None:
        with log.open("a") as file:
            file.write("the store is damaged; restore it\n")
        ended = running.process("pass")
        ended.wait()
        running.publish(ended.pid)

    running.publish(0)
    running.on_request(answer)
    assert refused(running.folder) == (
        f"node-1 ended at its start: the store is damaged; restore it (log: {log})",
        1,
    )


def test_the_reason_of_an_earlier_end_is_not_given_for_this_one(running: Running) -> None:
    def answer(_name: str) -> None:
        ended = running.process("pass")
        ended.wait()
        running.publish(ended.pid)

    running.publish(0)
    running.on_request(answer)
    assert "it said nothing" in refused(running.folder)[0]


def test_one_that_does_not_come_is_not_waited_for_for_ever(running: Running) -> None:
    running.publish(0)
    line, code = refused(running.folder, deadline_s=0.1)
    assert line == f"node-1 was not ready after 0 s; it said nothing (log: {running.folder.log_of('node-1')})"
    assert code == 1


def test_of_one_that_is_there_and_not_ready_its_state_and_its_last_words_are_said(running: Running) -> None:
    def answer(_name: str) -> None:
        with running.folder.log_of("node-1").open("a") as file:
            file.write("this node starts without its registration: the store is full\n")
        running.publish(running.process().pid)

    running.state = "stale"
    running.publish(0)
    running.on_request(answer)
    line, code = refused(running.folder, deadline_s=1.0)
    assert line.startswith("node-1 was not ready after 1 s and is stale; it said last: this node starts without its")
    assert code == 1


def test_a_folder_that_may_not_be_written_to_is_said(running: Running) -> None:
    running.publish(0)
    running.folder.requests.rmdir()
    running.folder.requests.touch()
    line, code = refused(running.folder)
    assert line.startswith(f"cannot write to {running.folder.requests}: ")
    assert code == 1
    os.unlink(running.folder.requests)


@pytest.mark.parametrize(
    ("answers", "missing"),
    [
        ([("ejected", "ready"), ("up", "ready")], []),
        ([("down", "ready")], ["proxy-1"]),
        ([("down", "drain")], []),
        ([("fenced", "ready")], []),
        ([None], []),
    ],
    ids=["comes", "does not come", "taken out by an operator", "kept out by its epoch", "the proxy is dead"],
)
def test_a_node_is_waited_for_until_every_proxy_gives_it_requests(
    running: Running, monkeypatch: pytest.MonkeyPatch, answers: list[tuple[str, str] | None], missing: list[str]
) -> None:
    proxy = Entry("proxy-1", "local", 0, "127.0.0.1:1", "127.0.0.1:2")
    Manifest(str(running.folder.client_config), [proxy], []).write(running.folder.manifest)

    def status(_admin: str) -> dict[str, object]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            return {}
        return {"nodes": [{"name": "node-1", "state": answer[0], "administrative_state": answer[1]}]}

    monkeypatch.setattr(readiness, "status", status)
    assert missing_in(running.folder, "node-1", 0.1) == missing
    assert missing_in(running.folder, "proxy-1", 0.1) == []


def test_a_request_that_came_too_early_is_made_again(running: Running) -> None:
    dead = running.process("pass")
    dead.wait(DEADLINE_S)
    running.publish(dead.pid)
    asked: list[str] = []

    def answer(name: str) -> None:
        asked.append(name)
        if len(asked) == 2:
            running.publish(running.process().pid)

    running.on_request(answer)
    assert restart(running.folder, "node-1").pid != dead.pid
    assert asked[:2] == ["node-1"] * 2
