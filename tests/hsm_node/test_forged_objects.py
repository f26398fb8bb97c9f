"""What somebody who can write the store, but has no key, tries on objects: each is refused, counted and named, and
another object and a key go on. The same for keys is in test_forged_store."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hsm_node.core.envelopes import Reason
from hsm_node.core.keyring import Keyring
from hsm_node.core.object_records import ObjectRecord, seal_object
from hsm_wire.messages import DescribeKey, GenerateKey
from hsm_wire.objects import CreateObject, DestroyObject, FindObjects, FindObjectsResult, ReadObject, UpdateObject
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
VICTIM, OTHER = b"v" * 16, b"o" * 16
LABEL, VALUE = "the-label-of-an-object", b"the value of an object, which nobody may read in the store"


class Attacker:
    """Has the store's file and no key; the names of rows are told to it."""

    def __init__(self, path: Path, ring: Keyring) -> None:
        self._path = path
        self._ring = ring
        self.victim, self.other = ring.object_name(1, VICTIM), ring.object_name(1, OTHER)
        self.key = ring.name(1, VICTIM)
        """The key that has the id of the victim."""

    def data(self, name: bytes) -> bytes:
        with closing(sqlite3.connect(self._path)) as connection:
            return bytes(connection.execute("SELECT data FROM records WHERE name = ?", (name,)).fetchone()[0])

    def put(self, name: bytes, data: bytes) -> None:
        """Replace a row as a node does: at a new revision, so that every node looks at it."""
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("UPDATE cluster SET revision = revision + 1")
            connection.execute(
                "INSERT OR REPLACE INTO records SELECT ?, revision, ? FROM cluster WHERE only = 1", (name, data)
            )

    def remove(self, name: bytes) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("DELETE FROM records WHERE name = ?", (name,))

    def forged(self, **changes: object) -> bytes:
        """Return the victim's row with fields changed under the cipher: a bit flipped in CTR flips the plaintext's."""
        number, body, mac = msgspec.msgpack.decode(self.data(self.victim))
        plain = self._ring.decrypt(body, 1)
        record = msgspec.structs.replace(msgspec.msgpack.decode(plain, type=ObjectRecord), **changes)
        wanted = msgspec.msgpack.encode(record)
        assert len(wanted) == len(plain), "only bytes are exchanged"
        changed = bytes(one ^ two ^ three for one, two, three in zip(body[16:], plain, wanted, strict=True))
        return msgspec.msgpack.encode([number, body[:16] + changed, mac])

    def foreign(self) -> bytes:
        """Return the victim's row as a store of another cluster with the same master key would have it."""
        record = ObjectRecord(b"z" * 16, 1, VICTIM, 9, 9, 1, "data", "", b"x", False, 1, b"d" * 32, ())
        return seal_object(record, self._ring)

    def as_key(self) -> bytes:
        """Return the victim's row with the format of a key's."""
        _, body, mac = msgspec.msgpack.decode(self.data(self.victim))
        return msgspec.msgpack.encode([3, body, mac])


class Scene:
    """A node with two objects and a key; it can be started again."""

    def __init__(self, start: Start, folder: Path) -> None:
        self._start = start
        self._folder = folder
        self._operation = 0

    async def open(self) -> "Scene":
        self.node = self._start()
        self.client = await self.node.client()
        self.follower = self.node.keystore.follower
        self.attacker = Attacker(self._folder / "store.db", self.follower._keyring)
        return self

    async def call(self, opcode: int, body: msgspec.Struct) -> int:
        self._operation += 1
        return int((await self.client.call(opcode, body, operation_id=self._operation)).status)

    async def fill(self) -> None:
        for one in (VICTIM, OTHER):
            assert await self.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", VALUE, LABEL)) == Status.OK
        assert await self.call(Opcode.GENERATE_KEY, GenerateKey(VICTIM, "hmac-256")) == Status.OK

    async def restart(self) -> None:
        await self.node.stop()
        await self.open()

    async def read(self, object_id: bytes = VICTIM) -> int:
        return await self.call(Opcode.READ_OBJECT, ReadObject(object_id))

    async def found(self) -> list[bytes]:
        answer = await self.client.call(Opcode.FIND_OBJECTS, FindObjects())
        return [info.object_id for info in msgspec.msgpack.decode(answer.body, type=FindObjectsResult).objects]

    async def assert_refused(self, reason: Reason, caplog: pytest.LogCaptureFixture) -> None:
        assert await self.read() == Status.RECORD_DAMAGED
        for opcode, body in (
            (Opcode.UPDATE_OBJECT, UpdateObject(VICTIM, label="x")),
            (Opcode.DESTROY_OBJECT, DestroyObject(VICTIM)),
            (Opcode.CREATE_OBJECT, CreateObject(VICTIM, "data", b"new")),
        ):
            assert await self.call(opcode, body) == Status.RECORD_DAMAGED
        assert await self.found() == [OTHER]
        assert await self.read(OTHER) == Status.OK, "another object goes on"
        assert await self.call(Opcode.DESCRIBE_KEY, DescribeKey(VICTIM)) == Status.OK, "the key of that id goes on"
        assert {name: row.reason for name, row in self.follower.refused.items()} == {self.attacker.victim: reason}
        page = self.node.node._metrics.page().decode()
        assert f'hsm_node_records_refused{{reason="{reason}"}} 1.0' in page
        assert "a record of the store is refused" in caplog.text


@pytest.fixture
async def scene(start_node: Start, node_folder: Path) -> Scene:
    made = await Scene(start_node, node_folder).open()
    await made.fill()
    return made


FORGERIES: list[tuple[Callable[[Attacker], bytes], Reason]] = [
    (lambda attacker: attacker.forged(partition=2), Reason.CHANGED),
    (lambda attacker: attacker.forged(object_id=OTHER), Reason.CHANGED),
    (lambda attacker: attacker.forged(value=VALUE[::-1]), Reason.CHANGED),
    (lambda attacker: attacker.forged(kind="atad"), Reason.CHANGED),
    (lambda attacker: attacker.forged(version=2, order=2), Reason.CHANGED),
    (lambda attacker: attacker.data(attacker.other), Reason.MOVED),
    (lambda attacker: attacker.data(attacker.key), Reason.MOVED),
    (lambda attacker: attacker.as_key(), Reason.CHANGED),
    (lambda attacker: attacker.foreign(), Reason.CLUSTER),
    (lambda _attacker: os.urandom(200), Reason.MALFORMED),
    (lambda _attacker: b"\x93\x09\xc4\x00\xc4\x00", Reason.FORMAT),
]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("forge", "reason"), FORGERIES)
async def test_a_forged_row_is_refused_and_all_else_goes_on(
    scene: Scene,
    forge: Callable[[Attacker], bytes],
    reason: Reason,
    restarted: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await scene.read() == Status.OK
    scene.attacker.put(scene.attacker.victim, forge(scene.attacker))
    if restarted:
        await scene.restart()
    await scene.assert_refused(reason, caplog)


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_older_version_does_not_come_back(
    scene: Scene, restarted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    old = scene.attacker.data(scene.attacker.victim)
    assert await scene.call(Opcode.UPDATE_OBJECT, UpdateObject(VICTIM, value=b"renewed")) == Status.OK
    scene.attacker.put(scene.attacker.victim, old)
    if restarted:
        await scene.restart()
    await scene.assert_refused(Reason.OLDER, caplog)


async def test_a_row_that_was_left_out_is_missed_and_its_id_stays_used_up(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.call(Opcode.DESTROY_OBJECT, DestroyObject(VICTIM))
    scene.attacker.remove(scene.attacker.victim)
    await scene.restart()
    await scene.assert_refused(Reason.MISSING, caplog)


async def test_a_destroyed_object_does_not_come_back_by_its_old_row(scene: Scene) -> None:
    old = scene.attacker.data(scene.attacker.victim)
    assert await scene.call(Opcode.DESTROY_OBJECT, DestroyObject(VICTIM)) == Status.OK
    scene.attacker.put(scene.attacker.victim, old)
    assert await scene.read() == Status.KEY_NOT_FOUND
    assert [row.reason for row in scene.follower.refused.values()] == [Reason.OLDER]
    await scene.restart()
    assert await scene.read() == Status.RECORD_DAMAGED


async def test_an_objects_row_under_the_name_of_a_key_is_no_key(scene: Scene) -> None:
    scene.attacker.put(scene.attacker.key, scene.attacker.data(scene.attacker.victim))
    assert await scene.call(Opcode.DESCRIBE_KEY, DescribeKey(VICTIM)) == Status.RECORD_DAMAGED
    assert await scene.read() == Status.OK
    assert {name: row.reason for name, row in scene.follower.refused.items()} == {scene.attacker.key: Reason.MOVED}


async def test_what_the_nodes_wrote_themselves_is_never_refused(scene: Scene) -> None:
    for number in range(3):
        assert await scene.call(Opcode.UPDATE_OBJECT, UpdateObject(VICTIM, label=f"{number}")) == Status.OK
        await scene.restart()
        assert await scene.read() == Status.OK
    assert await scene.call(Opcode.DESTROY_OBJECT, DestroyObject(VICTIM)) == Status.OK
    await scene.restart()
    assert await scene.read() == Status.KEY_NOT_FOUND
    assert not scene.follower.refused


@pytest.mark.parametrize("folder", [".", "state"])
async def test_a_stolen_store_shows_no_value_no_label_and_no_id(scene: Scene, node_folder: Path, folder: str) -> None:
    await scene.node.stop()
    stolen = b"".join(path.read_bytes() for path in (node_folder / folder).rglob("*.db*"))
    assert b"SQLite format 3" in stolen
    assert [one for one in (LABEL.encode(), VALUE, VALUE[:16], VICTIM, OTHER) if one in stolen] == []
