"""Rows under a new master key, in the background, against a store that does as the test says."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsm_daemon import clock
from hsm_node.core.keyring import Keyring
from hsm_node.core.ledger import Ledger
from hsm_node.core.node_states import next_node_state, seal_node_state
from hsm_node.core.resealing import sealed_version
from hsm_node.core.rotation import TAKE_OVER_S, Turn
from hsm_node.service.follower import Follower
from hsm_node.service.node_state_rows import NodeStateRows
from hsm_node.service.rewrapping import INTERVAL_S, RETRY_S, Rewrapping
from hsm_node.store.base import Row, StoreError
from hsm_node.store.sqlite import SqliteStore
from hsm_node.work.pool import Pool

NODES = ("a", "b", "c", "d")


class Scene:
    """A store with a row for each node, and one node that follows it."""

    def __init__(self, folder: Path, keyring: Keyring, rows_per_s: float) -> None:
        self.keyring = keyring
        self.store = SqliteStore(folder / "store.db", "dev", keyring)
        keyring.hold(b"n" * 32, 2)
        self.states = NodeStateRows(keyring, self.store.cluster_id)
        ledger = Ledger(keyring.ledger_mac, self.store.cluster_id)
        self.follower = Follower(self.store, keyring, self.states, ledger=ledger)  # type: ignore[arg-type]  # no keys
        self.pool = Pool("store", 1, 8)
        for node in NODES:
            self.store.create(keyring.node_name(node), self.sealed(node, "drain"))
        self.follower.follow()
        self.work = Rewrapping(self.follower, keyring, self.store, self.pool, Turn(0), rows_per_s)
        self.now = 100.0

    def sealed(self, node: str, state: str, version: int = 1) -> bytes:
        """Return a row's data under the master key in use."""
        record = next_node_state(None, self.store.cluster_id, 1, node, state, b"m", after_version=version - 1)
        return seal_node_state(record, self.keyring)

    def rotate(self) -> None:
        """Take the next master key into use."""
        self.follower.use_master_key(2)

    def rows(self) -> list[Row]:
        return self.store.rows_after(0)

    def versions(self) -> list[int]:
        """Return which master key each row is under."""
        return sorted(sealed_version(row.data, self.keyring) for row in self.rows())

    async def sweep(self, seconds: float = INTERVAL_S) -> None:
        """Let time pass, then sweep and wait for what that began."""
        self.now += seconds
        self.work.sweep()
        while self.work._busy:
            await asyncio.sleep(0.001)

    def close(self) -> None:
        self.pool.close()
        self.store.close()


@pytest.fixture
async def make_scene(tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> Any:
    made: list[Scene] = []

    def make(rows_per_s: float = 1000.0) -> Scene:
        made.append(Scene(tmp_path, keyring, rows_per_s))
        monkeypatch.setattr(clock, "monotonic", lambda: made[0].now)
        return made[0]

    yield make
    for scene in made:
        scene.close()


Make = Callable[..., Scene]


async def test_nothing_is_written_while_nothing_is_left(make_scene: Make) -> None:
    scene = make_scene()
    before = scene.rows()
    scene.work.begin()
    await scene.sweep()
    assert (scene.rows(), scene.work.left, scene.work.done) == (before, 0, 0)


async def test_it_does_no_more_at_once_than_its_pace_allows(make_scene: Make) -> None:
    scene = make_scene(rows_per_s=20.0)
    scene.rotate()
    assert scene.work.left == 4
    scene.work.begin()
    left = []
    for _ in range(4):
        await scene.sweep(0.05)
        left.append(scene.work.left)
    assert left == [2, 2, 0, 0]
    assert (scene.versions(), scene.work.done) == ([2] * 4, 4)
    assert {entry.record.version for entry in scene.states.held.values()} == {2}


async def test_another_node_that_works_is_left_alone_until_it_makes_no_progress(make_scene: Make) -> None:
    scene = make_scene()
    scene.rotate()
    await scene.sweep()
    await scene.sweep(TAKE_OVER_S - 0.1)
    assert scene.versions() == [1] * 4
    await scene.sweep()
    await scene.sweep()
    assert scene.versions() == [2] * 4


async def test_what_somebody_changed_meanwhile_is_never_overwritten(make_scene: Make) -> None:
    scene = make_scene()
    scene.rotate()
    scene.work.begin()
    change = scene.store.change

    def too_late(name: bytes, revision: int, data: bytes) -> Row | None:
        scene.store.change = change  # type: ignore[method-assign]  # the first change only
        change(name, revision, scene.sealed("a", "maintain", 2))
        return change(name, revision, data)

    (victim,) = (row for row in scene.rows() if row.name == scene.keyring.node_name("a"))
    scene.follower.leftovers.begin([victim.name])
    scene.store.change = too_late  # type: ignore[method-assign]  # a store that fails
    await scene.sweep()
    assert (scene.work.done, scene.work.left) == (0, 1)
    await scene.sweep()
    assert (scene.work.done, scene.work.left) == (0, 0), "it was sealed under the key in use already"
    assert scene.states.held["a"].record.state == "maintain"


async def test_an_older_row_in_a_newer_ones_place_is_not_made_new(make_scene: Make) -> None:
    scene = make_scene()
    name = scene.keyring.node_name("a")
    (old,) = (row for row in scene.rows() if row.name == name)
    newer = scene.store.change(name, old.revision, scene.sealed("a", "ready", 2))
    assert newer is not None
    scene.follower.follow()
    scene.rotate()
    assert scene.store.change(name, newer.revision, old.data) is not None
    scene.work.begin()
    await scene.sweep()
    assert (scene.work.left, scene.versions()) == (0, [1, 2, 2, 2])
    assert name in scene.follower.refused


async def test_what_is_gone_or_damaged_ends_nothing(make_scene: Make) -> None:
    scene = make_scene()
    scene.rotate()
    name = scene.keyring.node_name("a")
    (row,) = (each for each in scene.rows() if each.name == name)
    scene.store.change(name, row.revision, b"damaged")
    scene.follower.leftovers.begin([*(each.name for each in scene.rows()), b"gone" * 8])
    scene.work.begin()
    await scene.sweep()
    assert (scene.work.left, scene.work.done) == (0, 3)


async def test_a_store_that_fails_is_tried_again_later(make_scene: Make) -> None:
    scene = make_scene()
    scene.rotate()
    scene.work.begin()
    read = scene.store.read

    def failing(_name: bytes) -> Row | None:
        raise StoreError("no disk")

    scene.store.read = failing  # type: ignore[method-assign]  # a store that fails
    await scene.sweep()
    scene.store.read = read  # type: ignore[method-assign]  # a store that fails
    await scene.sweep(RETRY_S / 2)
    assert scene.work.left == 4
    await scene.sweep(RETRY_S)
    assert scene.work.left == 0


async def test_a_row_under_a_newer_key_waits_until_that_is_in_use_here(make_scene: Make) -> None:
    scene = make_scene()
    name = scene.keyring.node_name("a")
    (row,) = (each for each in scene.rows() if each.name == name)
    scene.keyring.use(2)
    data = scene.sealed("a", "ready", 2)
    scene.keyring.use(1)
    scene.store.change(name, row.revision, data)
    scene.follower.follow()
    scene.work.begin()
    await scene.sweep()
    assert (scene.work.left, scene.work.done, scene.follower.leftovers.newer) == (1, 0, True)
    assert scene.versions() == [1, 1, 1, 2]
