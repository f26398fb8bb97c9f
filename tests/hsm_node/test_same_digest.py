"""Nodes that follow one store say the same of it in PONG at the same revision, whatever they have been through."""

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_node.backends.software import SoftwareBackend
from hsm_node.core.key_table import KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.ledger import Ledger
from hsm_node.core.node_states import STATES, next_node_state, resealed_node_state, seal_node_state
from hsm_node.core.object_records import ObjectRecord, next_object, resealed_object, seal_object
from hsm_node.core.object_table import ObjectTable
from hsm_node.core.records import Record, next_record, resealed_record, seal_record
from hsm_node.service.follower import Follower
from hsm_node.service.node_state_rows import NodeStateRows
from hsm_node.service.record_rows import key_rows, object_rows
from hsm_node.state.seen_file import SeenFile
from hsm_node.store.base import Row
from hsm_node.store.sqlite import SqliteStore
from hsm_wire.messages import Policy

NODES = 3
PLACES = 3
"""Rows of each kind: few, so that changes meet."""
FIRST, SECOND = bytes(range(32)), bytes(range(32, 64))
KINDS = ("key", "object", "node state")
ACTIONS = ("change", "change", "destroy", "reseal", "lose")


class Machine:
    """What a node knows of the store, and how it writes."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._state = folder / f"node-{number}"
        self._state.mkdir()
        self.ring = Keyring(FIRST, 1)
        self.store = SqliteStore(folder / "store.db", "dev", self.ring)
        self.ring.hold(SECOND, 2)
        self._begin()

    def _begin(self) -> None:
        ring, cluster_id = self.ring, self.store.cluster_id
        self._file = SeenFile(self._state)
        ledger = Ledger(ring.ledger_mac, cluster_id)
        self._file.load(ledger)
        self.states = NodeStateRows(ring, cluster_id)
        self.keys = key_rows(KeyTable(), ring, cluster_id, SoftwareBackend(ring))
        self.objects = object_rows(ObjectTable(), ring, cluster_id)
        self.follower = Follower(self.store, ring, self.keys, self.states, self.objects, ledger=ledger)
        self.follower.follow()

    def restart(self, *, remembers: bool) -> None:
        """Be another process of the node, with or without the memory of this one."""
        if remembers and self.follower.ledger.changed:
            self._file.write(self.follower.ledger.snapshot())
        self._file.close()
        if not remembers:
            (self._state / "seen.db").unlink(missing_ok=True)
        self.store.close()
        ring = Keyring(FIRST, 1)
        self.store = SqliteStore(self._folder / "store.db", "dev", ring)
        ring.hold(SECOND, 2)
        ring.use(self.ring.version)
        self.ring = ring
        self._begin()

    def close(self) -> None:
        self._file.close()
        self.store.close()

    def said(self) -> tuple[int, bytes, int]:
        """Return applied revision, digest and writings, as PONG has them."""
        self.follower.follow()
        ledger = self.follower.ledger
        assert self.follower.current
        assert ledger.revision <= self.follower.applied_revision
        return self.follower.applied_revision, ledger.digest, ledger.writes

    def write(self, kind: str, place: int, action: str) -> None:
        """Create or change a row, and take what the store returns, as the service does."""
        name = self._name(kind, place)
        row = self.store.read(name)
        if row is None:
            self.follower.take_any(self.store.create(name, self._new(kind, place)))
            return
        data = self._next(kind, place, row, action)
        # Who loses has read a revision that another node has changed since.
        changed = self.store.change(name, row.revision - (action == "lose"), data)
        if changed is not None:
            self.follower.take_any(changed)

    def _name(self, kind: str, place: int) -> bytes:
        if kind == "node state":
            return self.ring.node_name(f"node-{place}")
        made = self.ring.name if kind == "key" else self.ring.object_name
        return made(1, bytes([place]) * 16)

    def _new(self, kind: str, place: int) -> bytes:
        store, identity = self.store, bytes([place]) * 16
        if kind == "node state":
            return seal_node_state(next_node_state(None, store.cluster_id, 1, f"node-{place}", "drain", b""), self.ring)
        if kind == "object":
            made = ObjectRecord(store.cluster_id, 1, identity, 1, 1, 1, "data", "", b"v", False, 1, b"d" * 32, ())
            return seal_object(made, self.ring)
        wrapped, version = self.ring.wrap(b"m" * 32), self.ring.version
        key = Record(
            store.cluster_id, 1, identity, 1, 1, version, "hmac-256", 32, "", 3, True, False, 1, "generated", b"",
            Policy(), b"d" * 32, (), wrapped,
        )  # fmt: skip
        return seal_record(key, self.ring)

    def _next(self, kind: str, place: int, row: Row, action: str) -> bytes:
        ring = self.ring
        rows: Any = {"key": self.keys, "object": self.objects, "node state": self.states}[kind]
        record = rows.open(row)
        if action == "reseal":
            reseal: Any = {"key": resealed_record, "object": resealed_object, "node state": resealed_node_state}[kind]
            return bytes(reseal(record, ring))
        if kind == "node state":
            state = STATES[record.version % len(STATES)]
            return seal_node_state(next_node_state(record, self.store.cluster_id, 1, f"node-{place}", state, b""), ring)
        gone = action == "destroy" or record.destroyed
        if kind == "object":
            return seal_object(next_object(record, destroyed=gone, value=b"" if gone else record.value), ring)
        wrapped = b"" if gone else record.wrapped
        return seal_record(next_record(record, destroyed=gone, wrapped=wrapped, enabled=not record.enabled), ring)


@contextlib.contextmanager
def machines() -> Iterator[list[Machine]]:
    """Nodes of one store."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as held:
        yield [held.enter_context(contextlib.closing(Machine(Path(folder), number))) for number in range(NODES)]


class Heard:
    """What nodes have said at each revision."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[bytes, int]] = {}

    def compare(self, node: Machine) -> None:
        revision, digest, writes = node.said()
        assert self._said.setdefault(revision, (digest, writes)) == (digest, writes)
        counts = [self._said[at][1] for at in sorted(self._said)]
        assert all(one < two for one, two in itertools.pairwise(counts)), "a later revision has seen more"


_node = st.integers(0, NODES - 1)
_steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("write"), _node, st.sampled_from(KINDS), st.integers(0, PLACES - 1), st.sampled_from(ACTIONS)
        ),
        st.tuples(st.just("follow"), _node),
        st.tuples(st.just("restart"), _node, st.booleans()),
        st.tuples(st.just("use"), _node, st.sampled_from([1, 2])),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(_steps)
def test_nodes_of_one_store_say_the_same_of_it(steps: list[tuple[Any, ...]]) -> None:
    heard = Heard()
    with machines() as nodes:
        for what, number, *rest in steps:
            node = nodes[number]
            if what == "write":
                node.write(*rest)
            elif what == "follow":
                heard.compare(node)
            elif what == "restart":
                node.restart(remembers=rest[0])
            else:  # Two master keys are in use side by side while one follows the other.
                node.follower.use_master_key(rest[0])
        for node in nodes:
            heard.compare(node)
            assert not node.follower.refused
        assert len({node.said() for node in nodes}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_was_shown_less_says_something_else(kind: str) -> None:
    with machines() as (one, two, _):
        for _ in range(3):
            one.write(kind, 1, "change")
        one.write("key", 2, "change")
        heard = Heard()
        heard.compare(one)
        name = one._name(kind, 1)
        one.store._writer.execute("DELETE FROM records WHERE name = ?", (name,))
        two.restart(remembers=False)
        revision, digest, writes = two.said()
        assert revision == one.said()[0]
        assert digest != one.said()[1]
        assert writes == one.said()[2] - 3


def test_writings_are_counted_although_their_owner_sees_none() -> None:
    with machines() as (one, two, _):
        one.write("key", 0, "change")
        before = one.said()
        one.write("key", 0, "reseal")
        after = one.said()
        assert two.said() == after
        assert after[2] == before[2] + 1
        record = two.keys.open(msgspec.structs.replace(two.store.read(one._name("key", 0)), revision=0))
        assert (record.version, record.order) == (1, 2)
