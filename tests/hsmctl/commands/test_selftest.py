"""The self-test passes on a real cluster and fails on every fault."""

import json
from collections.abc import Iterator

import pytest
from fake_cluster import FakeCluster, Keystore

from hsm_wire import messages as m
from hsm_wire.cluster_messages import NodeReport, PathReport
from hsmctl.commands import selftest
from hsmctl.known_answers import VECTORS


class Faulty(Keystore):
    """A cluster of one node that knows the vectors' answers, or does not, and counts its answers, or does not."""

    def __init__(self) -> None:
        super().__init__()
        self.right = True
        self.counts = True
        self.state = "up"
        self.path = "up"
        self.answers = 0

    def import_key(self, body: m.ImportKey) -> m.KeyInfo:
        info = m.KeyInfo(body.key_id, body.key_type, body.label, 3, True, 1, 0, "imported", b"", body.policy)
        self.infos[body.key_id] = info
        return info

    def sign(self, body: m.Sign) -> m.SignResult:
        self.answers += 1
        answer = next(vector.answer for vector in VECTORS if vector.data == body.data)
        return m.SignResult(answer if self.right else answer[::-1])

    def status(self, body: m.Empty) -> m.StatusResult:
        paths = [PathReport("loopback", self.path)]
        count = self.answers if self.counts else 0
        node = NodeReport("node-1", "local", self.state, "ready", "", 1, 0, 8, count, 0, paths)
        return m.StatusResult("proxy-1", "local", "test", "fake", 1, 1, [node])


@pytest.fixture
def node(fake_cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    monkeypatch.setattr(selftest, "MAX_ROUNDS", 2)
    fake_cluster.proxy.keystore = Faulty()
    yield fake_cluster.proxy.keystore
    assert fake_cluster.proxy.keystore.infos == {}, "the self-test leaves no key behind"


def test_every_node_of_a_good_cluster_answers_and_no_key_is_left(shell) -> None:
    document = shell.json("selftest")
    assert (document["passed"], document["faults"]) == (True, [])
    assert set(document["answers"]) == {"node-1", "node-2"}
    assert min(document["answers"].values()) > 0
    assert "all answers right" in shell.good("selftest").decode()
    assert shell.json("key", "list", "--label", selftest.LABEL) == []


def test_right_answers_pass(fake_shell, node: Faulty) -> None:
    assert fake_shell.json("selftest")["passed"] is True


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"right": False}, "wrong answer"),
        ({"counts": False}, "node-1 gave no answer"),
        ({"state": "ejected"}, "node-1 is ejected"),
        ({"path": "down"}, "path loopback of node-1 is down"),
    ],
)
def test_every_fault_is_named_and_is_exit_code_1(fake_shell, node: Faulty, fault: dict[str, object], said: str) -> None:
    for name, value in fault.items():
        setattr(node, name, value)
    done = fake_shell("selftest", "--json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["passed"] is False
    assert any(said in each for each in document["faults"])
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
