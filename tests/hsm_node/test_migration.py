"""The program as `hsmctl store migrate` runs it, up to where an etcd is needed; `hsmctl` has the rest in its tests."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hsm_node import migration
from hsm_node.core.keyring import Keyring
from hsm_node.store.base import StoreError
from hsm_node.store.migration.moving import Report
from hsm_node.store.sqlite import SqliteStore

ETCD = '[store]\ndriver = "etcd"\nendpoints = ["127.0.0.1:1"]\ntls = "off"\n'
Run = Callable[..., Result]


@pytest.fixture
def run(node_folder: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> Run:
    """What runs it, with a store and a node.toml on an etcd that nobody is at."""
    monkeypatch.setattr("hsm_daemon.hardening.refuse_dumps", lambda: None)
    monkeypatch.setattr("hsm_daemon.logs.configure", lambda *_: None)
    monkeypatch.setattr("hsm_node.store.migration.target.CALL_S", 0.2)
    SqliteStore(node_folder / "store.db", "dev", keyring).close()
    config = node_folder / "node.toml"
    on_etcd = config.read_text().replace('[store]\npath = "store.db"\n', ETCD)
    config.with_name("etcd.toml").write_text(on_etcd)

    def invoke(*more: str, toml: str = "etcd.toml") -> Result:
        arguments = ["--config", str(config.with_name(toml)), "--from", str(config.with_name("store.db"))]
        return CliRunner().invoke(migration.main, [*arguments, *more])

    return invoke


def failure(done: Result, code: int) -> str:
    """Return the last line, which says why it failed."""
    assert done.exit_code == code, done.output
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith(migration.FAILURE)
    return last


def test_a_node_that_is_not_on_etcd_is_no_target(run: Run) -> None:
    assert 'driver = "etcd"' in failure(run(toml="node.toml"), 2)


def test_a_configuration_that_is_wrong_is_one_line(run: Run) -> None:
    assert "no such file" in failure(run(toml="nothing.toml"), 2)


def test_an_etcd_that_does_not_answer_is_not_the_end(run: Run) -> None:
    assert "the same command goes on from there" in failure(run(), 1)


def test_a_store_that_nodes_have_open_is_refused(run: Run, node_folder: Path, keyring: Keyring) -> None:
    with contextlib.closing(SqliteStore(node_folder / "store.db", "dev", keyring)):
        assert "nodes run on this store" in failure(run(), 2)


def test_ctrl_c_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Report:
        raise KeyboardInterrupt

    monkeypatch.setattr(migration, "migrate", interrupted)
    assert "interrupted; the same command" in failure(run(), 130)


def test_the_report_is_all_of_standard_output(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def done(_source: object, _target: object, tell: Callable[[str], None]) -> Report:
        tell("on the way")
        return Report(3, 2, "d1", "etcd at here")

    monkeypatch.setattr(migration, "migrate", done)
    result = run()
    assert result.stdout == '{"records":3,"written":2,"digest":"d1","place":"etcd at here","already":false}\n'
    assert result.stderr == "on the way\n"


def test_undo_needs_etcd_and_force_does_not(run: Run) -> None:
    assert "not marked as moved" in failure(run("--undo", "--force"), 2)
    assert "not marked as moved" in failure(run("--undo"), 2)


def test_an_error_of_the_store_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Report:
        raise StoreError("its quota is full: compact it")

    monkeypatch.setattr(migration, "migrate", broken)
    assert "etcd: its quota is full: compact it" in failure(run(), 1)
