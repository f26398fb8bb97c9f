"""What somebody who can write the store and the state directory, but has no key, tries: each is refused and named, and
another key goes on."""

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hsm_daemon.errors import StartError
from hsm_node.core.envelopes import Reason
from hsm_node.core.keyring import Keyring
from hsm_node.core.ledger import Ledger
from hsm_node.core.records import Record, seal_record
from hsm_node.state.recorder import open_recorder
from hsm_node.store.sqlite import SqliteStore
from hsm_wire import mechanisms as ckm
from hsm_wire.messages import NIL_PARAMETERS, DescribeKey, DestroyKey, GenerateKey, Sign, UpdateKey
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
VICTIM, OTHER = b"v" * 16, b"o" * 16
MASTER_KEY = bytes(range(32))


class Attacker:
    """Has the store's file and no key. The names of rows are told to it, which is more than it would know."""

    def __init__(self, path: Path, ring: Keyring) -> None:
        self.path = path
        self._ring = ring
        self.victim, self.other = (ring.name(1, key) for key in (VICTIM, OTHER))

    def data(self, name: bytes) -> bytes:
        with closing(sqlite3.connect(self.path)) as connection:
            return bytes(connection.execute("SELECT data FROM records WHERE name = ?", (name,)).fetchone()[0])

    def put(self, name: bytes, data: bytes) -> None:
        """Replace a row as a node does: at a new revision, so that every node looks at it."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("UPDATE cluster SET revision = revision + 1")
            connection.execute(
                "INSERT OR REPLACE INTO records SELECT ?, revision, ? FROM cluster WHERE only = 1", (name, data)
            )

    def run(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)

    def copy(self, name: str) -> Path:
        """Return a copy of the store as it is now."""
        target = self.path.with_name(name)
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(target)) as sink:
            source.backup(sink)
        return target

    def forged(self, name: bytes, **changes: object) -> bytes:
        """Return a row with fields changed under the cipher: a bit that is flipped in CTR flips the plaintext's."""
        number, body, mac = msgspec.msgpack.decode(self.data(name))
        plain = self._ring.decrypt(body, 1)
        record = msgspec.msgpack.decode(plain, type=Record)
        wanted = msgspec.msgpack.encode(msgspec.structs.replace(record, **changes))
        assert len(wanted) == len(plain), "only bytes are exchanged"
        iv, cipher = body[:16], body[16:]
        changed = bytes(one ^ two ^ three for one, two, three in zip(cipher, plain, wanted, strict=True))
        return msgspec.msgpack.encode([number, iv + changed, mac])

    def record(self, name: bytes) -> Record:
        _, body, _ = msgspec.msgpack.decode(self.data(name))
        return msgspec.msgpack.decode(self._ring.decrypt(body, 1), type=Record)


class Scene:
    """A node with two keys; it can be started again."""

    def __init__(self, start: Start, folder: Path) -> None:
        self._start = start
        self.folder = folder
        self._operation = 0

    async def open(self) -> "Scene":
        self.node = self._start()
        self.client = await self.node.client()
        self.follower = self.node.keystore.follower
        self.attacker = Attacker(self.folder / "store.db", self.follower._keyring)
        return self

    async def make_keys(self) -> None:
        for key in (VICTIM, OTHER):
            made = await self.call(Opcode.GENERATE_KEY, GenerateKey(key, "hmac-256", label=f"label of {key.hex()}"))
            assert made == Status.OK

    async def call(self, opcode: int, body: msgspec.Struct) -> int:
        self._operation += 1
        frame = await self.client.call(opcode, body, operation_id=self._operation)
        return int(frame.status)

    async def describe(self) -> int:
        return await self.call(Opcode.DESCRIBE_KEY, DescribeKey(VICTIM))

    async def sign(self, key: bytes) -> int:
        return await self.call(Opcode.SIGN, Sign(key, ckm.CKM_SHA256_HMAC, NIL_PARAMETERS, b"data"))

    async def restart(self) -> None:
        await self.node.stop()
        await self.open()

    def page(self) -> str:
        return str(self.node.node._metrics.page().decode())


@pytest.fixture
async def scene(start_node: Start, node_folder: Path) -> Scene:
    made = await Scene(start_node, node_folder).open()
    await made.make_keys()
    return made


def usage_added(attacker: Attacker) -> None:
    record = attacker.record(attacker.victim)
    attacker.put(attacker.victim, attacker.forged(attacker.victim, usage=record.usage ^ 1))


def partition_changed(attacker: Attacker) -> None:
    attacker.put(attacker.victim, attacker.forged(attacker.victim, partition=2))


def id_changed(attacker: Attacker) -> None:
    attacker.put(attacker.victim, attacker.forged(attacker.victim, key_id=b"x" * 16))


def material_swapped(attacker: Attacker) -> None:
    attacker.put(attacker.victim, attacker.forged(attacker.victim, wrapped=attacker.record(attacker.other).wrapped))


def row_of_another_name(attacker: Attacker) -> None:
    attacker.put(attacker.victim, attacker.data(attacker.other))


def format_of_another_row(attacker: Attacker) -> None:
    _, body, mac = msgspec.msgpack.decode(attacker.data(attacker.victim))
    attacker.put(attacker.victim, msgspec.msgpack.encode([1, body, mac]))


def nonsense(attacker: Attacker) -> None:
    attacker.put(attacker.victim, os.urandom(200))


def text_for_bytes(attacker: Attacker) -> None:
    attacker.run("UPDATE cluster SET revision = revision + 1")
    attacker.run(
        "UPDATE records SET data = 'text', revision = (SELECT revision FROM cluster) WHERE name = ?", attacker.victim
    )


def format_of_the_future(attacker: Attacker) -> None:
    attacker.put(attacker.victim, msgspec.msgpack.encode([9, b"", b""]))


def row_of_another_cluster(attacker: Attacker) -> None:
    """A store that was made with the same master key."""
    ring = Keyring(MASTER_KEY)
    foreign = SqliteStore(attacker.path.with_name("foreign.db"), "dev", ring)
    record = attacker.record(attacker.victim)
    stranger = msgspec.structs.replace(record, cluster_id=foreign.cluster_id, sequence=5, usage=0xFFFF)
    attacker.put(attacker.victim, seal_record(stranger, ring))
    foreign.close()


FORGERIES = [
    (usage_added, Reason.CHANGED),
    (partition_changed, Reason.CHANGED),
    (id_changed, Reason.CHANGED),
    (material_swapped, Reason.CHANGED),
    (row_of_another_name, Reason.MOVED),
    (format_of_another_row, Reason.CHANGED),
    (nonsense, Reason.MALFORMED),
    (text_for_bytes, Reason.MALFORMED),
    (format_of_the_future, Reason.FORMAT),
    (row_of_another_cluster, Reason.CLUSTER),
]


async def assert_refused(scene: Scene, reason: Reason, caplog: pytest.LogCaptureFixture) -> None:
    assert await scene.describe() == Status.RECORD_DAMAGED
    assert await scene.sign(VICTIM) == Status.RECORD_DAMAGED
    assert await scene.sign(OTHER) == Status.OK, "another key goes on"
    assert {row.reason for row in scene.follower.refused.values()} == {reason}
    assert f'hsm_node_records_refused{{reason="{reason}"}} 1.0' in scene.page()
    assert "a record of the store is refused" in caplog.text


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("attack", "reason"), FORGERIES)
async def test_a_forged_row_is_refused_and_another_key_goes_on(
    scene: Scene,
    attack: Callable[[Attacker], None],
    reason: Reason,
    restarted: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await scene.sign(VICTIM) == Status.OK
    attack(scene.attacker)
    if restarted:
        await scene.restart()
    await assert_refused(scene, reason, caplog)
    assert scene.attacker.victim in scene.follower.refused


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_key_is_not_enabled_again_by_its_old_row(
    scene: Scene, restarted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    old = scene.attacker.data(scene.attacker.victim)
    assert await scene.call(Opcode.UPDATE_KEY, UpdateKey(VICTIM, enabled=False)) == Status.OK
    scene.attacker.put(scene.attacker.victim, old)
    if restarted:
        await scene.restart()
    await assert_refused(scene, Reason.OLDER, caplog)
    assert "older than one that this node has seen" in str(scene.follower.refused)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_destroyed_key_does_not_come_back_by_its_old_row(scene: Scene, restarted: bool) -> None:
    old = scene.attacker.data(scene.attacker.victim)
    assert await scene.call(Opcode.DESTROY_KEY, DestroyKey(VICTIM)) == Status.OK
    scene.attacker.put(scene.attacker.victim, old)
    if restarted:
        await scene.restart()
    # Who remembers the end itself says that; who has only seen that there was one says that the record is damaged.
    assert await scene.describe() == (Status.RECORD_DAMAGED if restarted else Status.KEY_NOT_FOUND)
    assert await scene.sign(OTHER) == Status.OK
    assert [row.reason for row in scene.follower.refused.values()] == [Reason.OLDER]


async def test_a_row_that_was_left_out_is_missed_and_its_id_stays_used_up(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.call(Opcode.DESTROY_KEY, DestroyKey(VICTIM))
    scene.attacker.run("DELETE FROM records WHERE name = ?", scene.attacker.victim)
    await scene.restart()
    await assert_refused(scene, Reason.MISSING, caplog)
    assert await scene.call(Opcode.GENERATE_KEY, GenerateKey(VICTIM, "hmac-256")) == Status.RECORD_DAMAGED
    assert "older than this node has seen it" in caplog.text


async def test_a_renamed_row_is_refused_under_both_names(scene: Scene) -> None:
    scene.attacker.run("UPDATE records SET name = zeroblob(32) WHERE name = ?", scene.attacker.victim)
    await scene.restart()
    assert await scene.describe() == Status.RECORD_DAMAGED
    assert await scene.sign(OTHER) == Status.OK
    reasons = {name: row.reason for name, row in scene.follower.refused.items()}
    assert reasons == {bytes(32): Reason.MOVED, scene.attacker.victim: Reason.MISSING}


async def test_a_row_with_a_revision_of_the_future_hides_no_change(scene: Scene) -> None:
    scene.attacker.run("UPDATE records SET revision = 1000000 WHERE name = ?", scene.attacker.victim)
    assert await scene.call(Opcode.UPDATE_KEY, UpdateKey(OTHER, enabled=False)) == Status.OK
    await scene.restart()
    assert await scene.describe() == Status.RECORD_DAMAGED
    assert await scene.sign(OTHER) == Status.KEY_DISABLED


async def test_an_older_copy_of_the_whole_store_brings_back_nothing(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    older = scene.attacker.copy("older.db")
    await scene.call(Opcode.UPDATE_KEY, UpdateKey(VICTIM, enabled=False))
    await scene.node.stop()
    older.replace(scene.folder / "store.db")
    await scene.open()
    await assert_refused(scene, Reason.OLDER, caplog)
    (said,) = [record for record in caplog.records if "the store is older" in record.message]
    assert "remove seen.db" in str(vars(said))


async def test_a_store_whose_write_ahead_log_was_removed_brings_back_nothing(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    path = scene.folder / "store.db"
    scene.node.store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await scene.call(Opcode.UPDATE_KEY, UpdateKey(VICTIM, enabled=False))
    without_log = path.read_bytes()
    await scene.node.stop()
    path.write_bytes(without_log)
    await scene.open()
    await assert_refused(scene, Reason.OLDER, caplog)


async def test_an_older_copy_that_is_put_there_while_it_runs_stops_the_node_until_the_store_is_back(
    scene: Scene,
) -> None:
    path, older = scene.folder / "store.db", scene.attacker.copy("older.db")
    await scene.call(Opcode.UPDATE_KEY, UpdateKey(VICTIM, enabled=False))
    path.rename(scene.folder / "kept.db")
    older.rename(path)
    for key in (VICTIM, OTHER):
        assert await scene.sign(key) == Status.NOT_CURRENT
    assert await scene.call(Opcode.UPDATE_KEY, UpdateKey(OTHER, enabled=False)) == Status.STORE_UNAVAILABLE
    assert "hsm_node_store_replaced_total 1.0" in scene.page()
    (scene.folder / "kept.db").replace(path)
    assert await scene.sign(OTHER) == Status.OK
    assert await scene.sign(VICTIM) == Status.KEY_DISABLED


async def test_an_older_state_of_the_same_file_is_noticed_while_it_runs(scene: Scene) -> None:
    scene.attacker.run("DELETE FROM records WHERE name = ?", scene.attacker.victim)
    scene.attacker.run("UPDATE cluster SET revision = 1")
    assert await scene.sign(OTHER) == Status.NOT_CURRENT
    assert "hsm_node_store_replaced_total 1.0" in scene.page()


async def test_what_the_node_remembers_can_only_be_removed_as_a_whole(scene: Scene) -> None:
    await scene.node.stop()
    folder, ring = scene.folder / "state" / "node-1", scene.follower._keyring
    seen = folder / "seen.db"
    whole = seen.read_bytes()
    for statement in ("DELETE FROM seen WHERE name = ?", "UPDATE seen SET entry = zeroblob(24) WHERE name = ?"):
        with closing(sqlite3.connect(seen)) as connection, connection:
            connection.execute(statement, (scene.attacker.victim,))
        with pytest.raises(StartError, match=r"seen\.db: what this node has seen of the store was damaged or changed"):
            open_recorder(folder, Ledger(ring.ledger_mac, scene.node.store.cluster_id), first_start=False)
        seen.write_bytes(whole)
    seen.unlink()
    await scene.open()
    assert await scene.sign(VICTIM) == Status.OK


async def test_nothing_that_was_written_by_the_nodes_themselves_is_refused(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        assert await scene.call(Opcode.UPDATE_KEY, UpdateKey(VICTIM, label=os.urandom(4).hex())) == Status.OK
        await scene.restart()
        assert await scene.sign(VICTIM) == Status.OK
    assert await scene.call(Opcode.DESTROY_KEY, DestroyKey(VICTIM)) == Status.OK
    await scene.restart()
    assert await scene.describe() == Status.KEY_NOT_FOUND
    assert not scene.follower.refused
    assert not [record for record in caplog.records if record.name.startswith("hsm_node")]


async def test_nodes_that_followed_the_same_store_have_the_same_digest(scene: Scene) -> None:
    await scene.call(Opcode.UPDATE_KEY, UpdateKey(VICTIM, enabled=False))
    scene.follower.follow()
    one = scene.follower
    before = (one.ledger.digest, one.applied_revision)
    await scene.node.stop()
    (scene.folder / "state" / "node-1" / "seen.db").unlink()
    await scene.open()
    assert (scene.follower.ledger.digest, scene.follower.applied_revision) == before
