"""The store between data centres: three real members with mutual TLS, killed, stopped, compacted, wiped, filled up."""

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from certificates import Authority
from cluster import Cluster
from etcd import EtcdCluster, Member
from programs import wait_until
from scale import SLACK

from hsm_daemon.errors import StartError
from hsm_daemon.tls import TlsFiles
from hsm_node.core.keyring import Keyring
from hsm_node.store.base import ReplacedStoreError, Row, StoreError, UnreachableStoreError
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.opening import MAKER_S

WRITERS = 8
WITHIN_S = 1.2 * SLACK
"""Whoever waits for a change is told within a second; the rest is for a busy machine."""
GAP_S = 6.0 * SLACK
"""Without a leader: two to three seconds as a rule."""
RECORD = b"x" * 600
MAKER = "it has no store, and only node-1, the first node of cluster.toml, makes one"
START_S = 30.0 * SLACK


class Node:
    """Follows the store as a node does."""

    def __init__(self, store: EtcdStore) -> None:
        self.store = store
        self.rows: list[Row] = []

    def look(self) -> None:
        if self.store.changed():
            self.rows += self.store.rows_after(self.rows[-1].revision if self.rows else 0)

    def in_contact(self) -> bool:
        try:
            self.look()
        except StoreError:
            return False
        return True

    def wait_for(self, *rows: Row) -> None:
        """Wait until it has these."""

        def has() -> bool:
            return self.in_contact() and set(rows) <= set(self.rows)

        wait_until(has, lambda: f"{len(self.rows)} rows, {self.store.revision}")

    def check_order(self) -> None:
        """Each revision once, in order: nothing twice, nothing late."""
        revisions = [row.revision for row in self.rows]
        assert revisions == sorted(set(revisions))


@pytest.fixture
def members(tmp_path: Path) -> Iterator[EtcdCluster]:
    """Three members that serve."""
    cluster = EtcdCluster(tmp_path / "etcd", 3, tls=True, flags=("--pre-vote",))
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture
def node(members: EtcdCluster) -> Iterator[Callable[..., Node]]:
    """What makes a node that prefers the member of that number."""
    made: list[EtcdStore] = []

    def make(first: int = 0, *, alone: bool = False) -> Node:
        addresses = members.addresses[first:] + members.addresses[:first]
        chosen = addresses[:1] if alone else addresses
        made.append(EtcdStore(chosen, members.tls, "dev", Keyring(bytes(32))))
        return Node(made[-1])

    yield make
    for store in made:
        store.close()


class Writers:
    """Create records until told to stop; each name until it is acknowledged."""

    def __init__(self, stores: list[EtcdStore]) -> None:
        self.made: list[tuple[float, Row]] = []
        self.slowest_s = 0.0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(number, stores[number % len(stores)]))
            for number in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, more: int) -> None:
        goal = len(self.made) + more
        wait_until(lambda: len(self.made) >= goal, lambda: f"{len(self.made)} of {goal}")

    def stop(self) -> list[Row]:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        return [row for _, row in self.made]

    @property
    def gap_s(self) -> float:
        """The longest time in which nothing was acknowledged."""
        times = sorted(moment for moment, _ in self.made)
        return max(after - before for before, after in itertools.pairwise(times))

    def _write(self, number: int, store: EtcdStore) -> None:
        count = 0
        while not self._stop.is_set():
            name = number.to_bytes(16, "big") + count.to_bytes(16, "big")
            begun = time.monotonic()
            try:
                row = store.create(name, RECORD)
            except StoreError:
                self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
                continue  # Perhaps made: sent again it finds itself.
            self.made.append((time.monotonic(), row))
            count += 1


def check(nodes: list[Node], rows: list[Row]) -> None:
    """Every acknowledged row is on every node, once."""
    for one in nodes:
        one.wait_for(*rows)
        one.check_order()
        assert len({row.name for row in one.rows}) == len(one.rows)


@pytest.mark.alone
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_leader_is_lost_under_writes_and_nothing_that_was_acknowledged(
    members: EtcdCluster, node: Callable[..., Node], how: str, count: Callable[[str, int], None]
) -> None:
    nodes = [node(number) for number in range(3)]
    writers = Writers([one.store for one in nodes])
    writers.wait_for(200)
    leader = members.leader()
    if how == "kill":
        leader.kill()
    else:
        leader.signal(signal.SIGSTOP)
    writers.wait_for(200)
    if how == "kill":
        leader.start()
    else:
        leader.signal(signal.SIGCONT)
    writers.wait_for(200)
    rows = writers.stop()
    check(nodes, rows)
    assert all(one.store.lists == 1 for one in nodes)
    assert writers.gap_s < GAP_S
    assert writers.slowest_s < WITHIN_S
    count(f"records acknowledged while the leader was lost ({how})", len(rows))
    count(f"milliseconds without a write while the leader was lost ({how})", round(writers.gap_s * 1000))


def test_a_member_that_stands_still_leaves_its_node_in_contact_through_another(
    members: EtcdCluster, node: Callable[..., Node]
) -> None:
    follower = next(member for member in members.members if member is not members.leader())
    number = members.members.index(follower)
    local, other = node(number), node((number + 1) % 3)
    local.wait_for()
    follower.signal(signal.SIGSTOP)
    lost = 0
    end = time.monotonic() + 5
    try:
        while time.monotonic() < end:
            row = other.store.create(time.monotonic_ns().to_bytes(32, "big"), RECORD)
            begun = time.monotonic()
            local.wait_for(row)
            lost += time.monotonic() - begun > 2.5
    finally:
        follower.signal(signal.SIGCONT)
    assert lost == 0, "a change came late, and the member was stopped for long"
    local.check_order()


def test_whoever_was_away_when_the_store_was_compacted_gets_everything(
    members: EtcdCluster, node: Callable[..., Node]
) -> None:
    leader = members.leader()
    number = next(number for number, each in enumerate(members.members) if each is not leader)
    member, beside = members.members[number], (number + 1) % 3
    away, other = node(number, alone=True), node(beside)
    first = [other.store.create(number.to_bytes(32, "big"), b"1") for number in range(50)]
    away.wait_for(*first)
    member.kill()
    changed = [other.store.change(row.name, row.revision, b"2") for row in first[:20]]
    made = [other.store.create(number.to_bytes(32, "big"), b"1") for number in range(50, 100)]
    again = [other.store.change(row.name, row.revision, b"3") for row in changed if row is not None]
    members.ctl("compact", str(other.store.revision), member=members.members[beside])
    with pytest.raises(StoreError):
        away.store.create(b"n" * 32, b"1")
    member.start()
    away.wait_for(*made, *(row for row in again if row is not None))
    away.check_order()
    assert away.store.lists == 2
    assert len(away.rows) == 120, "what was overwritten meanwhile is not shown"


def test_without_a_quorum_changes_are_refused_in_time_and_all_is_well_again_by_itself(
    members: EtcdCluster, node: Callable[..., Node]
) -> None:
    one = node(0)
    row = one.store.create(b"n" * 32, b"1")
    one.wait_for(row)
    lost = [members.members[1], members.members[2]]
    for member in lost:
        member.kill()
    wait_until(lambda: not one.in_contact(), lambda: "the node notices")
    seen = []
    for _ in range(5):
        begun = time.monotonic()
        with pytest.raises(StoreError) as caught:
            one.store.change(row.name, row.revision, b"2")
        assert time.monotonic() - begun < WITHIN_S
        seen.append(caught.type)
    assert UnreachableStoreError in seen, "without a leader a member refuses: certainly nothing was done"
    for member in lost:
        member.start()
    wait_until(one.in_contact, lambda: "contact is back")
    changed = one.store.change(row.name, row.revision, b"2") or one.store.read(row.name)
    assert changed is not None
    one.wait_for(changed)


@pytest.mark.parametrize("same_token", [True, False])
def test_an_empty_store_in_the_place_of_the_one_that_was_followed_is_not_taken_for_it(
    members: EtcdCluster, node: Callable[..., Node], same_token: bool
) -> None:
    one = node(0)
    rows = [one.store.create(number.to_bytes(32, "big"), RECORD) for number in range(20)]
    one.wait_for(*rows)
    members.stop()
    if not same_token:
        members.token += "-other"
    for member in members.members:
        members.wipe(member)
    members.start()

    def noticed() -> bool:
        try:
            one.look()
        except ReplacedStoreError:
            return True
        except StoreError as error:
            return not same_token and "etcd cluster" in str(error)
        return False

    wait_until(noticed, lambda: "the node notices")
    with pytest.raises(StoreError):
        one.store.create(b"n" * 32, RECORD)
    # Nothing was written to it, and a node that used the other one does not make a store of it.
    assert "kvs" not in members.ctl("get", "", "--prefix")
    with pytest.raises(StartError, match="is empty"):
        EtcdStore(members.addresses, members.tls, "dev", Keyring(bytes(32)), make=False)


def test_a_new_node_that_is_led_to_somebody_else_s_empty_store_makes_none_and_says_who_would(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "nodes"
    folder.mkdir()
    cluster, etcd = Cluster(folder, "uvloop"), EtcdCluster(tmp_path / "etcd", tls=True)
    first, second, _ = cluster.nodes
    for one in (first, second):
        cluster.write_node(one, store=etcd.store_toml())
    try:
        etcd.start()
        second.start()
        wait_until(lambda: MAKER in second.log(), second.log, MAKER_S + START_S)
        assert "kvs" not in etcd.ctl("get", "", "--prefix")
        assert not (folder / "state" / second.name / "store.json").exists()
        second.kill()
        for one in (first, second):
            one.start()
            one.wait_ready()
    finally:
        cluster.stop()
        etcd.stop()


def test_a_store_whose_quota_is_full_says_what_to_do_and_goes_on_when_it_was_done(tmp_path: Path) -> None:
    cluster = EtcdCluster(tmp_path / "full", 1, tls=True, flags=("--quota-backend-bytes", str(4 << 20)))
    try:
        cluster.start()
        store = EtcdStore(cluster.addresses, cluster.tls, "dev", Keyring(bytes(32)))
        one = Node(store)
        row = store.create(b"n" * 32, b"0" * 100_000)
        with pytest.raises(UnreachableStoreError, match="quota is full: compact it, defragment each member, `etcdctl"):
            while True:
                row = (
                    store.change(row.name, row.revision, row.data[:-8] + time.monotonic_ns().to_bytes(8, "big")) or row
                )
        one.wait_for(row)
        assert store.read(row.name) == row
        cluster.ctl("compact", str(store.revision))
        cluster.ctl("defrag")
        cluster.ctl("alarm", "disarm")
        changed = store.change(row.name, row.revision, b"2")
        assert changed is not None
        one.wait_for(changed)
        store.close()
    finally:
        cluster.stop()


def test_certificates_of_another_authority_or_that_have_expired_are_refused_in_one_line(
    members: EtcdCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsm_node.store.etcd.opening.OPEN_S", 1.5)
    assert members.client is not None
    strange = Authority(tmp_path / "strange").issue("spiffe://dev/node/node-1", "node-1")
    old_authority = Authority(tmp_path / "old", timedelta(minutes=-1)).issue("spiffe://dev/node/node-1", "old")
    for files in (
        TlsFiles(strange.ca, strange.certificate, strange.key),
        TlsFiles(members.client.ca, strange.certificate, strange.key),
        TlsFiles(old_authority.ca, old_authority.certificate, old_authority.key),
    ):
        with pytest.raises(StartError, match=r"cannot be used .*\[store\] endpoints and tls") as caught:
            EtcdStore(members.addresses, files, "dev", Keyring(bytes(32)))
        assert "\n" not in str(caught.value)


def leader_first(members: EtcdCluster) -> list[Member]:
    """Return the members, the leader first."""
    leader = members.leader()
    return [leader, *(member for member in members.members if member is not leader)]


def test_all_members_are_killed_at_once_and_nothing_that_was_acknowledged_is_lost(
    members: EtcdCluster, node: Callable[..., Node]
) -> None:
    nodes = [node(number) for number in range(3)]
    writers = Writers([one.store for one in nodes])
    for _ in range(2):
        writers.wait_for(200)
        for member in leader_first(members):
            member.kill()
        for member in members.members:
            member.start()
    writers.wait_for(200)
    check(nodes, writers.stop())
