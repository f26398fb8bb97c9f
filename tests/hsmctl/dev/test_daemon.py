"""A daemon's process: how it is started, how it ends, and that it never outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dev_processes import alive, end, wait_until

from hsmctl.dev.daemon import LOG_TAIL_BYTES, Daemon, keep_orphans, last_line, own_command

PARENT = """
import sys, time
from pathlib import Path
from hsmctl.dev.daemon import Daemon, own_command
daemon = Daemon(own_command("program", Path("c")), Path(sys.argv[1]))
daemon.start()
print(daemon.pid, flush=True)
time.sleep(60)
"""
WAITS = "import time\nprint('begun', flush=True)\ntime.sleep(60)\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAITS

MakeDaemon = Callable[..., Daemon]


@pytest.fixture
def make_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeDaemon]:
    made: list[Daemon] = []
    modules = tmp_path / "modules"
    modules.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(modules))

    def make(code: str, event_loop: str | None = None) -> Daemon:
        (modules / "program.py").write_text(code)
        made.append(Daemon(own_command("program", tmp_path / "node-1.toml"), tmp_path / "log", event_loop))
        return made[-1]

    yield make
    for daemon in made:
        daemon.wait_stopped(0)


def begun(log: Path) -> Callable[[], bool]:
    return lambda: log.exists() and "begun" in log.read_text()


def test_it_runs_its_module_with_its_configuration_and_event_loop(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    daemon = make_daemon(
        "import os, sys\nprint(sys.argv[1:], os.environ['HSM_EVENT_LOOP'], repr(sys.stdin.read()), os.getpid())",
        "asyncio",
    )
    assert (daemon.pid, daemon.running(), daemon.how_it_ended()) == (0, False, "")
    daemon.start()
    wait_until(lambda: not daemon.running(), "it ends")
    config = str(tmp_path / "node-1.toml")
    assert (tmp_path / "log").read_text() == f"['--config', {config!r}] asyncio '' {daemon.pid}\n"
    assert daemon.how_it_ended() == "exit code 0"


def test_files_of_the_folder_that_the_user_is_in_are_not_imported(
    make_daemon: MakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "program.py").write_text("print('the wrong one')")
    monkeypatch.chdir(elsewhere)
    daemon = make_daemon("print('the right one')")
    daemon.start()
    wait_until(lambda: not daemon.running(), "it ends")
    assert daemon.reason() == "the right one"


def test_ctrl_c_on_the_terminal_does_not_reach_it(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(WAITS)
    daemon.start()
    assert os.getpgid(daemon.pid) == daemon.pid != os.getpgid(0)
    assert os.getsid(daemon.pid) == os.getsid(0)


def test_it_ends_when_asked_with_all_that_it_started(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    daemon = make_daemon(f"import subprocess, sys\nprint(subprocess.Popen(['sleep', '60']).pid, flush=True)\n{WAITS}")
    daemon.start()
    wait_until(begun(tmp_path / "log"), "it runs")
    child = int((tmp_path / "log").read_text().split()[0])
    try:
        assert alive(child)
        daemon.ask_to_stop()
        daemon.wait_stopped(10)
        assert daemon.how_it_ended() == f"signal {int(signal.SIGTERM)}"
        wait_until(lambda: not alive(child), "its child ended")
    finally:
        end(child)
    daemon.ask_to_stop()  # of a dead one: nobody else is signalled


def test_one_that_does_not_end_is_killed(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    daemon = make_daemon(STUBBORN)
    daemon.start()
    wait_until(begun(tmp_path / "log"), "it runs")
    daemon.ask_to_stop()
    daemon.wait_stopped(0.05)
    assert not alive(daemon.pid)
    assert daemon.how_it_ended() == f"signal {int(signal.SIGKILL)}"


def test_it_does_not_outlive_a_parent_that_is_killed(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    make_daemon(STUBBORN)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "log")], stdout=subprocess.PIPE)
    pid = 0
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_until(begun(tmp_path / "log"), "it runs")
        parent.kill()
        wait_until(lambda: not alive(pid), "it died with its parent")
    finally:
        parent.kill()
        parent.communicate()
        if pid:
            end(pid)


def test_the_reason_is_what_it_said_last_since_its_start(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier run\n")
    daemon = make_daemon("import sys\nprint('first', flush=True)\nsys.exit('the store is damaged; restore it\\n\\n')")
    daemon.start()
    wait_until(lambda: not daemon.running(), "it ends")
    assert daemon.reason() == "the store is damaged; restore it"
    assert "of an earlier run" in (tmp_path / "log").read_text()


def test_the_reason_of_one_that_said_nothing_is_how_it_ended(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier run\n")
    daemon = make_daemon("import time; time.sleep(60)")
    daemon.start()
    os.kill(daemon.pid, signal.SIGKILL)
    wait_until(lambda: not daemon.running(), "it ends")
    assert daemon.reason() == f"signal {int(signal.SIGKILL)}"


def test_it_can_be_started_again(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(WAITS)
    daemon.start()
    first = daemon.pid
    daemon.wait_stopped(0)
    daemon.start()
    assert daemon.running()
    assert daemon.pid != first


def test_the_last_line_of_a_huge_or_missing_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_line(log, 0) == ""
    log.write_bytes(b"x" * 10 * LOG_TAIL_BYTES + b"\n\xff last \n \n")
    begin = time.monotonic()
    assert last_line(log, 0) == "\ufffd last "
    assert last_line(log, log.stat().st_size) == ""
    assert time.monotonic() - begin < 1


HANDS_OVER = """
import os, subprocess, sys, time
if "successor" in sys.argv:
    print("begun", flush=True)
    time.sleep(60)
child = subprocess.Popen([sys.executable, __file__, "successor"])
print(f"successor={child.pid}", flush=True)
time.sleep(0.5)
"""


def test_a_successor_is_the_daemon_from_then_on(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    keep_orphans()
    daemon = make_daemon(HANDS_OVER)
    daemon.start()
    old = daemon.pid
    wait_until(lambda: not daemon.running(), "the old process ends")
    assert daemon.handed_over()
    pid = int((tmp_path / "log").read_text().split("successor=")[1].split()[0])
    assert not daemon.adopt(old)
    assert daemon.adopt(pid)
    assert (daemon.pid, daemon.running(), daemon.handed_over()) == (pid, True, False)
    daemon.ask_to_stop()
    daemon.wait_stopped(5)
    assert not daemon.running()
    assert not alive(pid)
    assert daemon.handed_over(), "the successor may have left one of its own"
