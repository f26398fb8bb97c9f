"""hsmctl dr demote: it asks the node of this host, by the cluster's name."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hsm_client.errors import make_error
from hsm_wire.administration import DrDemote, DrReturn
from hsm_wire.messages import InfoResult
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsmctl.cli import main
from hsmctl.commands.dr import demote as command


class FakeNode:
    """Stands by again, unless it refuses."""

    def __init__(self) -> None:
        self.asked: list[DrDemote] = []
        self.refusal: Exception | None = None

    def request(self, opcode: int, body: Any, _form: type) -> Any:
        if opcode == Opcode.INFO:
            return InfoResult("dev", "node-5", "", [], [])
        self.asked.append(body)
        if self.refusal is not None:
            raise self.refusal
        return DrReturn("node-5", "alps", 2, 2, promoted=False)


class FakeHost:
    sockets = (Path("node-5"),)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    fake = FakeNode()

    @contextlib.contextmanager
    def connected(_path: Path) -> Iterator[FakeNode]:
        yield fake

    monkeypatch.setattr(command, "local_node", connected)
    monkeypatch.setattr(command, "host_of", lambda _session, _folder: FakeHost)
    return fake


def test_it_says_what_was_done(node: FakeNode) -> None:
    done = CliRunner().invoke(main, ["dr", "demote", "--yes"])
    assert done.stdout == "the DR site of dev stands by again, epoch 2; the other sites serve\n"
    document = json.loads(CliRunner().invoke(main, ["dr", "demote", "--yes", "--json"]).stdout)
    assert (document["cluster"], document["epoch"], document["promoted"]) == ("dev", 2, False)
    assert node.asked == [DrDemote("dev")] * 2


def test_nothing_is_asked_before_the_name_was_typed_and_a_refusal_is_told(node: FakeNode) -> None:
    assert CliRunner().invoke(main, ["dr", "demote"], input="dev\n").exit_code == 2
    assert node.asked == []
    node.refusal = make_error(Status.BAD_REQUEST, "the old sites have not caught up: node-1 lacks 7 changes")
    refused = CliRunner().invoke(main, ["dr", "demote", "--yes"])
    assert refused.exit_code == 1
    assert "node-1 lacks 7 changes" in refused.stderr
