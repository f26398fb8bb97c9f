"""Start, deaths, restarts and the end of a whole cluster of fake daemons."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from dev_processes import alive, wait_until

from hsmctl.dev import readiness
from hsmctl.dev import supervisor as supervising
from hsmctl.dev.folder import Folder
from hsmctl.dev.manifest import Manifest, maybe_read
from hsmctl.dev.plan import Plan, make_plan
from hsmctl.dev.supervisor import Supervisor
from hsmctl.failures import CommandError


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    made = make_plan(2, 1, tls=False, event_loop=None)

    def fakes(members: tuple[supervising.Member, ...]) -> tuple[supervising.Member, ...]:
        return tuple(msgspec.structs.replace(member, module="fake_daemon") for member in members)

    return msgspec.structs.replace(made, nodes=fakes(made.nodes), proxies=fakes(made.proxies))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "d")


def behave(folder: Folder, name: str, how: str) -> None:
    folder.path.mkdir(exist_ok=True)
    (folder.path / f"behave-{name}").write_text(how)


def pids(manifest: Manifest | None) -> dict[str, int]:
    assert manifest is not None
    return {entry.name: entry.pid for entry in (*manifest.nodes, *manifest.proxies)}


def logs(folder: Folder) -> str:
    return "".join(path.read_text() for path in folder.logs.iterdir())


class Story:
    """Something that happens while the supervisor runs in the main thread; then a signal ends it."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._failure: BaseException | None = None
        self._tell = tell
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._tell()
        except BaseException as failure:  # noqa: BLE001 - handed to the main thread, which raises it
            self._failure = failure
        finally:
            os.kill(os.getpid(), signal.SIGINT)


def test_all_serve_when_dev_json_is_there_and_nothing_is_left_at_the_end(plan: Plan, folder: Folder) -> None:
    with Supervisor(plan, folder) as supervisor:
        manifest = supervisor.start()
        assert manifest == maybe_read(folder.manifest)
        running = pids(manifest)
        assert list(running) == ["node-1", "node-2", "proxy-1"]
        assert all(alive(pid) for pid in running.values())
        assert manifest is not None
        assert manifest.client_config == str(folder.path / "client.toml")
        assert [entry.address for entry in manifest.nodes] == [node.address for node in plan.nodes]
    assert not any(alive(pid) for pid in running.values())
    assert logs(folder).count("told to stop") == 3
    assert not folder.manifest.exists()
    assert not folder.held()


def test_a_daemon_that_ends_at_its_start_ends_all_with_its_reason(plan: Plan, folder: Folder) -> None:
    behave(folder, "node-2", "exits")
    with pytest.raises(CommandError) as caught, Supervisor(plan, folder) as supervisor:
        supervisor.start()
    log = folder.log_of("node-2")
    assert str(caught.value) == f"node-2 ended at its start: fake: something is wrong; mend it (log: {log})"
    assert not folder.manifest.exists()
    assert not folder.held()


def test_a_daemon_that_never_serves_is_named(plan: Plan, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "READY_S", 0.5)
    behave(folder, "node-1", "silent")
    with (
        pytest.raises(CommandError, match=r"node-1 was not ready after 0 s; it said nothing \(log: "),
        Supervisor(plan, folder) as supervisor,
    ):
        supervisor.start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_start_stops_all(plan: Plan, folder: Folder, number: signal.Signals) -> None:
    behave(folder, "proxy-1", "silent")
    with Supervisor(plan, folder) as supervisor:
        timer = threading.Timer(0.2, os.kill, (os.getpid(), number))
        timer.start()
        assert supervisor.start() is None
        timer.join()
        assert supervisor.stopping
    assert not folder.manifest.exists()
    assert not folder.held()


def test_a_killed_daemon_is_told_of_once_and_comes_back_on_request(plan: Plan, folder: Folder) -> None:
    notes: list[str] = []
    with Supervisor(plan, folder) as supervisor:
        before = pids(supervisor.start())

        def tell() -> None:
            os.kill(before["node-1"], signal.SIGKILL)
            wait_until(lambda: notes, "the death is told")
            for name in ("node-2", "node-9", "node-1"):  # one that runs, one that does not exist
                folder.ask_for(name)
            wait_until(lambda: pids(maybe_read(folder.manifest)) != before, "dev.json has the new process")

        with Story(tell):
            supervisor.run(notes.append)
        after = pids(maybe_read(folder.manifest))
        assert {name for name in before if before[name] != after[name]} == {"node-1"}
        assert alive(after["node-1"])
    assert notes == [f"node-1 ended (signal 9); `hsmctl dev start node-1 --dir {folder.path}` starts it again"]
    assert not any(alive(pid) for pid in after.values())


def test_every_death_is_told_also_of_one_that_could_not_start(plan: Plan, folder: Folder) -> None:
    notes: list[str] = []
    with Supervisor(plan, folder) as supervisor:
        before = pids(supervisor.start())

        def tell() -> None:
            os.kill(before["node-1"], signal.SIGKILL)
            wait_until(lambda: len(notes) == 1, "the death is told")
            behave(folder, "node-1", "exits")
            folder.ask_for("node-1")
            wait_until(lambda: len(notes) == 2, "the second death is told")
            folder.logs.rename(folder.path / "elsewhere")
            folder.ask_for("node-1")
            wait_until(lambda: len(notes) == 3, "the failure is told")

        with Story(tell):
            supervisor.run(notes.append)
    assert notes[1].startswith("node-1 ended (exit code 1)")
    assert notes[2].startswith("node-1 could not be started: ")


def test_a_note_that_nobody_can_read_ends_nothing(plan: Plan, folder: Folder) -> None:
    tried = threading.Event()

    def note(_text: str) -> None:
        tried.set()
        raise BrokenPipeError

    with Supervisor(plan, folder) as supervisor:
        before = pids(supervisor.start())

        def tell() -> None:
            os.kill(before["node-1"], signal.SIGKILL)
            wait_until(tried.is_set, "a note is tried")
            folder.ask_for("node-1")
            wait_until(lambda: pids(maybe_read(folder.manifest)) != before, "requests are still served")

        with Story(tell):
            supervisor.run(note)


def test_who_lost_the_folder_goes_on_and_leaves_the_next_one_alone(plan: Plan, folder: Folder) -> None:
    notes: list[str] = []
    following = Folder(folder.path)
    with Supervisor(plan, folder) as supervisor:
        before = pids(supervisor.start())

        def tell() -> None:
            shutil.rmtree(folder.path)
            wait_until(lambda: notes, "the loss is told")
            following.take()
            following.manifest.write_text("of the next one")
            os.kill(before["node-1"], signal.SIGKILL)
            following.ask_for("node-1")
            wait_until(lambda: len(notes) == 2, "the death is told")

        with Story(tell):
            supervisor.run(notes.append)
        assert alive(before["proxy-1"])
    assert not any(alive(pid) for pid in before.values())
    assert notes[0].startswith(f"{folder.path} was removed, and its keys with it; ")
    assert following.manifest.read_text() == "of the next one"
    assert following.take_requests() == ["node-1"]
    following.release()


def test_a_proxy_that_does_not_end_is_killed_and_takes_no_time_from_the_nodes(
    plan: Plan, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(folder, "proxy-1", "stubborn")
    with Supervisor(plan, folder) as supervisor:
        running = pids(supervisor.start())
        monkeypatch.setattr(supervising, "STOP_DEADLINE_S", 1.0)
    assert not any(alive(pid) for pid in running.values())
    assert logs(folder).count("told to stop") == 2


def test_a_folder_in_use_starts_nothing(plan: Plan, folder: Folder) -> None:
    with Supervisor(plan, folder) as supervisor:
        running = pids(supervisor.start())
        with pytest.raises(CommandError, match="in use"), Supervisor(plan, Folder(folder.path)):
            pass
        assert folder.manifest.exists()
        assert all(alive(pid) for pid in running.values())
