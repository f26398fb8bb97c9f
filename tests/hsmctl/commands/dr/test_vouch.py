"""hsmctl dr vouch: every node of the host is told, by the cluster's name."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hsm_wire.administration import DrPromotion, DrVouch
from hsm_wire.messages import InfoResult
from hsm_wire.opcodes import Opcode
from hsmctl.cli import main
from hsmctl.commands.dr import vouch as command


class FakeHost:
    def __init__(self, folder: Path | None, site: str | None) -> None:
        here = site or "node"
        self.sockets = (Path(f"{here}-1"), Path(f"{here}-2")) if folder is None else (folder / here,)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, DrVouch]]:
    heard: list[tuple[str, DrVouch]] = []

    class FakeNode:
        def __init__(self, name: str) -> None:
            self.name = name

        def request(self, opcode: int, body: Any, _form: type) -> Any:
            if opcode == Opcode.INFO:
                return InfoResult("dev", self.name, "", [], [])
            heard.append((self.name, body))
            return DrPromotion(3, promoted=False)

    @contextlib.contextmanager
    def connected(path: Path) -> Iterator[FakeNode]:
        yield FakeNode(path.name)

    monkeypatch.setattr(command, "local_node", connected)
    monkeypatch.setattr(command, "host_of", lambda _session, folder, site: FakeHost(folder, site))
    return heard


def test_all_nodes_of_this_host_are_told_or_the_one_at_a_socket(told: list[tuple[str, DrVouch]]) -> None:
    done = CliRunner().invoke(main, ["dr", "vouch", "--yes"])
    assert done.stdout == "node-1, node-2 may serve and change keys of epoch 3\n"
    one = CliRunner().invoke(main, ["dr", "vouch", "--yes", "--socket", "node-9", "--json"])
    assert json.loads(one.stdout) == {"cluster": "dev", "nodes": ["node-9"], "epoch": 3}
    assert told == [(name, DrVouch("dev")) for name in ("node-1", "node-2", "node-9")]


def test_in_a_development_cluster_the_site_is_named(told: list[tuple[str, DrVouch]]) -> None:
    done = CliRunner().invoke(main, ["dr", "vouch", "--yes", "--site", "geneva", "--dir", "d"])
    assert done.stdout == "geneva may serve and change keys of epoch 3\n"
    assert told == [("geneva", DrVouch("dev"))]


def test_nobody_is_told_before_the_name_was_typed(told: list[tuple[str, DrVouch]]) -> None:
    refused = CliRunner().invoke(main, ["dr", "vouch"], input="dev\n")
    assert (refused.exit_code, told) == (2, [])
