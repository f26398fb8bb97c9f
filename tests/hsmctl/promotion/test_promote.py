"""The steps of a promotion, before a node that answers as it is told."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_host import SILENT, FakeHost

from hsm_client.errors import HsmError, make_error
from hsm_wire.administration import DrPromote, DrPromotion
from hsm_wire.messages import InfoResult
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsmctl.failures import UNREACHABLE, CommandError
from hsmctl.promotion import promote as module
from hsmctl.promotion.promote import Promotion

LOST = make_error(Status.STORE_UNAVAILABLE, "this node cannot reach its store")
LOST.not_executed = True
DOUBTFUL = make_error(Status.STORE_UNAVAILABLE, "the store did not answer")


class FakeNode:
    """Answers over its local socket; `failing` are raised first, one a request to promote."""

    def __init__(self) -> None:
        self.failing: list[Exception] = []
        self.asked: list[DrPromote] = []
        self.promoted = False

    def request(self, opcode: int, body: Any, _form: type) -> Any:
        if opcode == Opcode.INFO:
            return InfoResult("dev", "node-5", "", [], [])
        self.asked.append(body)
        if not body.look and self.failing:
            raise self.failing.pop(0)
        return DrPromotion(2 if self.promoted or not body.look else 1, promoted=self.promoted or not body.look)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    fake = FakeNode()

    @contextlib.contextmanager
    def connected(_path: Path) -> Iterator[FakeNode]:
        yield fake

    monkeypatch.setattr(module, "local_node", connected)
    monkeypatch.setattr(module, "POLL_S", 0.0)
    monkeypatch.setattr(module, "ELECTION_S", 0.0)
    return fake


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def promoted(host: FakeHost, *, force: bool) -> Any:
    notes: list[str] = []
    promotion = Promotion(host, notes.append, force=force)
    done = promotion.run(promotion.look())
    return done, notes


def test_with_the_stores_majority_it_is_one_transaction_of_the_node(node: FakeNode, host: FakeHost) -> None:
    done, notes = promoted(host, force=False)
    assert (done.cluster, done.epoch, done.own_store, done.kept) == ("dev", 2, False, "")
    assert node.asked == [DrPromote("dev", look=True), DrPromote("dev")]
    assert (host.steps, notes) == ([], [])


def test_without_it_the_member_is_made_a_store_of_its_own_first(node: FakeNode, host: FakeHost) -> None:
    node.failing = [LOST, LOST, make_error(Status.NOT_CURRENT, "not yet")]
    done, notes = promoted(host, force=True)
    assert host.steps == ["stop member", "start member", "restart nodes"]
    assert (done.epoch, done.own_store, Path(done.kept).name) == (2, True, "data.before-epoch-2")
    assert node.asked[-1] == DrPromote("dev", force=True, epoch=2)
    assert len(notes) == 2


@pytest.mark.parametrize("force", [False, True])
def test_an_election_is_waited_for_and_no_store_of_its_own_is_made(
    node: FakeNode, host: FakeHost, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    monkeypatch.setattr(module, "ELECTION_S", 60.0)
    node.failing = [LOST, make_error(Status.NOT_CURRENT, "not yet"), LOST]
    done, notes = promoted(host, force=force)
    assert (done.epoch, done.own_store, host.steps, notes) == (2, False, [], [])
    assert node.asked[1:] == [DrPromote("dev", force)] * 4


def test_a_promotion_whose_answer_was_lost_in_an_election_is_found_to_be_made(
    node: FakeNode, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ELECTION_S", 60.0)
    done_before = make_error(Status.BAD_REQUEST, "promoted already")
    promotion = Promotion(host, lambda _text: None, force=False)
    cluster = promotion.look()
    node.promoted, node.failing = True, [LOST, done_before]
    done = promotion.run(cluster)
    assert (done.epoch, done.own_store, node.asked[-1]) == (2, False, DrPromote("dev", force=True, look=True))
    node.failing = [LOST, done_before]
    with pytest.raises(HsmError, match="promoted already"):
        promoted(host, force=True)
    assert host.steps == []


def test_without_it_and_without_force_nothing_is_done(node: FakeNode, host: FakeHost) -> None:
    node.failing = [LOST]
    with pytest.raises(CommandError, match="the store has no majority.*--force"):
        promoted(host, force=False)
    host.store, node.failing = None, [LOST]
    with pytest.raises(CommandError, match="no majority"):
        promoted(host, force=True)
    assert host.steps == []


def test_what_the_node_refuses_is_refused(node: FakeNode, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    node.failing = [make_error(Status.BAD_REQUEST, "promoted already")]
    with pytest.raises(HsmError, match="promoted already"):
        promoted(host, force=True)
    assert host.steps == []
    node.failing = [LOST, make_error(Status.BAD_REQUEST, "fenced")]
    with pytest.raises(HsmError, match="fenced"):
        promoted(host, force=True)
    monkeypatch.setattr(module, "READY_S", 0.0)
    node.failing = [LOST, LOST]
    with pytest.raises(HsmError, match="cannot reach its store"):
        promoted(host, force=True)


def test_two_at_once_on_one_host_are_one(host: FakeHost, node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    node.failing = [LOST]
    others: list[str] = []

    def meanwhile(_host: FakeHost) -> None:
        with pytest.raises(CommandError, match="another promotion is under way") as refused:
            promoted(host, force=True)
        others.append(str(refused.value))

    monkeypatch.setattr(FakeHost, "restart_nodes", meanwhile)
    promoted(host, force=True)
    assert len(others) == 1
    promoted(host, force=True)


def test_a_run_that_was_killed_before_the_epoch_was_raised_is_ended_by_the_next_one(
    host: FakeHost, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.failing = [LOST]

    def killed(_host: FakeHost) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(FakeHost, "restart_nodes", killed)
        with pytest.raises(KeyboardInterrupt):
            promoted(host, force=True)
    done, _ = promoted(host, force=True)
    assert (node.asked[-1].epoch, done.own_store, Path(done.kept).name) == (2, True, "data.before-epoch-2")
    assert host.steps == ["stop member", "start member", "start member"]
    host.member_file.unlink()
    promoted(host, force=True)
    assert node.asked[-1].epoch == 0


def test_nodes_that_do_not_follow_the_store_yet_that_was_made_are_started_again(host: FakeHost, node: FakeNode) -> None:
    (host.folder / "data.before-epoch-2").mkdir()
    node.failing = [LOST]
    done, _ = promoted(host, force=True)
    assert (done.own_store, node.asked[-1].epoch, host.steps) == (True, 2, ["start member", "restart nodes"])
    node.failing = [DOUBTFUL]
    promoted(host, force=True)
    assert node.asked[-1].epoch == 3, "the lost majority may have what it was asked for"
    node.failing = [make_error(Status.BAD_REQUEST, "it follows another store")]
    assert promoted(host, force=True)[0].epoch == 2
    node.failing = [make_error(Status.DEVICE_ERROR, "a bug")]
    with pytest.raises(HsmError, match="a bug"):
        promoted(host, force=True)


def test_what_was_done_before_is_told_with_what_it_did(host: FakeHost, node: FakeNode) -> None:
    node.promoted = True
    (host.folder / "data.before-epoch-2").mkdir()
    node.failing = [make_error(Status.BAD_REQUEST, "promoted already, in epoch 2")]
    with pytest.raises(CommandError, match=r"in epoch 2\. Its member became.*data\.before-epoch-2\. Keep the prod"):
        promoted(host, force=True)


class Silence:
    """No node answers until one was started."""

    def __init__(self, host: FakeHost, node: FakeNode) -> None:
        self._host = host
        self._node = node

    @contextlib.contextmanager
    def __call__(self, path: Path) -> Iterator[FakeNode]:
        if not {"start nodes", "restart nodes"} & set(self._host.steps):
            raise CommandError(f"{path}: no node answers there (Connection refused)", UNREACHABLE)
        yield self._node


@pytest.fixture
def silent(host: FakeHost, node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(module, "local_node", Silence(host, node))
    host.node_files[0].write_text('name = "node-5"\ncluster = "cluster.toml"\n[store]\nendpoints = ["127.0.0.1:1"]\n')
    (host.folder / "cluster.toml").write_text(CLUSTER)
    (host.folder / "store.json").write_text('{"cluster_id": "00", "epoch": 4}')
    return host


CLUSTER = """
cluster = { name = "dev" }
sites = [{ name = "alps", role = "disaster-recovery" }]
nodes = [{ name = "node-5", site = "alps" }]
"""


def test_without_a_node_the_store_is_made_first_and_then_asked(silent: FakeHost, node: FakeNode) -> None:
    silent.script("etcdctl", SILENT)
    done, _ = promoted(silent, force=True)
    assert silent.steps == ["stop member", "stop member", "start member", "restart nodes"]
    assert (done.cluster, done.own_store, node.asked) == ("dev", True, [DrPromote("dev", force=True, epoch=5)])


def test_without_a_node_and_with_a_majority_it_is_started_and_asked(silent: FakeHost, node: FakeNode) -> None:
    done, _ = promoted(silent, force=True)
    assert (silent.steps, done.own_store) == (["start nodes"], False)
    assert node.asked == [DrPromote("dev", force=True, look=True), DrPromote("dev", force=True)]


def test_without_a_node_what_an_earlier_run_made_is_ended(silent: FakeHost, node: FakeNode) -> None:
    (silent.folder / "data.before-epoch-5").mkdir()
    done, _ = promoted(silent, force=True)
    assert (silent.steps, done.own_store, node.asked[-1].epoch) == (["start member", "restart nodes"], True, 5)


def test_without_a_node_and_without_force_it_says_what_goes_on(silent: FakeHost) -> None:
    with pytest.raises(CommandError, match="start it; if it does not start because.*--force"):
        promoted(silent, force=False)
    silent.store = None
    with pytest.raises(CommandError, match="Connection refused"):
        promoted(silent, force=True)


@pytest.mark.parametrize(
    ("failing", "before", "epoch"),
    [(LOST, "", 2), (DOUBTFUL, "", 3), (LOST, module.DOUBT, 3)],
)
def test_a_store_of_its_own_has_no_epoch_that_the_lost_majority_may_have(
    node: FakeNode, host: FakeHost, failing: Exception, before: str, epoch: int
) -> None:
    if before:  # An earlier run was interrupted.
        (host.folder / before).touch()
    node.failing = [failing]
    assert promoted(host, force=True)[0].own_store
    assert node.asked[-1].epoch == epoch
    assert not (host.folder / module.DOUBT).exists()
