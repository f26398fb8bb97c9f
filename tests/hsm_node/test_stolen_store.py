"""Whoever has the store's files and no key reads nothing in them but how many rows there are, and how long they are."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsm_wire.messages import GenerateKey, ImportKey, KeyInfo, UpdateKey, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
LABELS = ("card-issuing root 2026", "Zürich – TLS of the branch", "another label")


def forms(secret: bytes) -> list[bytes]:
    """Return how somebody might find it: as it is, in hexadecimal, in base64 at each of three offsets."""
    shifted = [base64.b64encode(b"\0" * shift + secret)[4:-4] for shift in range(3)]
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), *shifted]


def contents(folder: Path) -> bytes:
    """Return all that a thief of the store gets: the file, its write-ahead log and its index."""
    return b"".join(path.read_bytes() for path in folder.glob("store.db*"))


async def make_keys(client: Any) -> list[bytes]:
    """Make keys with labels; return everything that must not be found."""
    secrets = [label.encode() for label in LABELS]
    for label in LABELS:
        for kind in ("ec-p256", "aes-256"):
            key = os.urandom(16)
            frame = await client.call(Opcode.GENERATE_KEY, GenerateKey(key, kind, label=label))
            assert frame.status == Status.OK
            public = decode_body(KeyInfo, frame.body).public_key
            secrets += [key, *([public[-64:], public[-32:]] if public else [])]
    for _ in range(3):
        key, material = os.urandom(16), os.urandom(32)
        frame = await client.call(Opcode.IMPORT_KEY, ImportKey(key, "hmac-256", material, label=LABELS[0]))
        assert frame.status == Status.OK
        frame = await client.call(Opcode.UPDATE_KEY, UpdateKey(key, label=LABELS[1]))
        assert frame.status == Status.OK
        secrets += [key, material, material[:16], material[16:]]
    return secrets


@pytest.mark.parametrize("checkpointed", [False, True])
async def test_a_stolen_store_shows_no_label_no_id_no_material_and_no_public_key(
    start_node: Start, node_folder: Path, checkpointed: bool
) -> None:
    node = start_node()
    secrets = await make_keys(await node.client())
    ring = node.keystore.follower._keyring
    secrets += [bytes(range(32)), ring._naming_key, ring._digest_key, b"ec-p256", b"aes-256", b"hmac-256"]
    secrets += [entry.record.wrapped for entry in node.keystore.table._entries.values()]
    assert len(secrets) > 40
    if checkpointed:
        node.store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert (node_folder / "store.db-wal").stat().st_size == 0
    else:
        assert (node_folder / "store.db-wal").stat().st_size > 0
    stolen = contents(node_folder)
    assert stolen.count(b"SQLite format 3") == 1
    found = [secret for secret in secrets for form in forms(secret) if form in stolen]
    assert found == []


async def test_what_the_node_remembers_shows_nothing_either(start_node: Start, node_folder: Path) -> None:
    node = start_node()
    secrets = await make_keys(await node.client())
    await node.stop()
    state = b"".join(path.read_bytes() for path in (node_folder / "state").rglob("*") if path.is_file())
    assert b"SQLite format 3" in state
    assert [secret for secret in secrets for form in forms(secret) if form in state] == []


def test_the_search_finds_what_is_there() -> None:
    secret = os.urandom(32)
    for shift in range(3):
        assert any(form in base64.b64encode(os.urandom(shift) + secret + os.urandom(5)) for form in forms(secret))
    assert any(form in b"x" + secret.hex().encode() for form in forms(secret))
