"""What would fail on the day of a disaster is found by one drill before; each fault is injected."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from dr_node import (
    TYPES,
    OddCopy,
    damage,
    dr_node,
    drilled,
    found,
    in_file,
    name_of,
    set_recovery,
    texts,
    use,
)

from hsm_node.backends.key_prover import Proven
from hsm_node.backends.self_test import prove
from hsm_node.backends.software import SoftwareBackend
from hsm_node.core.drills import drawn
from hsm_node.core.keyring import Keyring
from hsm_node.core.records import resealed_record
from hsm_node.service import drill_run
from hsm_node.service.copy_lag import CopyLag
from hsm_node.service.drill_run import DrillRun
from hsm_wire.messages import DestroyKey
from hsm_wire.objects import CreateObject, UpdateObject
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

Start = Callable[..., Any]


async def test_a_sound_node_proves_every_type_of_key_and_every_record(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES)
    result = await drilled(node)
    assert (result.good, result.keys, result.failed, result.records, result.refused) == (True, 5, 0, 5, 0)
    assert [kind.split(":")[0] for kind in result.kinds] == sorted(TYPES)
    assert "ec-p256: sign, verify" in result.kinds
    assert (result.lag_records, result.lag_seconds) == (0, 0.0)
    assert result.rto_seconds is not None
    assert 0 < result.rto_seconds <= result.seconds


async def test_a_node_without_keys_is_good_by_known_answers(start_node: Start) -> None:
    node = await dr_node(start_node)
    backend = SoftwareBackend(node.keystore.keyring)
    use(node, known_answers=lambda: prove(backend, backend.offered, apart=True).failures)
    result = await drilled(node)
    assert (result.good, result.keys, result.kinds) == (True, 0, ())
    assert not backend._loaded._keys
    assert result.rto_seconds is not None


async def test_a_record_whose_bytes_were_changed_in_the_copy_is_found(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES)
    damage(node, 1)
    assert not node.keystore.follower.refused, "the node itself has it in memory, and notices nothing"
    result = await drilled(node)
    assert (found(result), result.refused, result.keys) == ({"records"}, 1, 4)
    assert name_of(node, 1).hex() in texts(result)


async def test_records_of_another_master_key_are_found(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES)
    stranger = Keyring(os.urandom(32))
    for number, key_id in enumerate(node.key_ids):
        record = node.keystore.table.get(1, key_id).record
        ours = node.keystore.keyring
        theirs = stranger.wrap(ours.unwrap(record.wrapped, record.true_length))
        damage(node, number, resealed_record(type(record)(**{**_fields(record), "wrapped": theirs}), stranger))
    result = await drilled(node)
    assert (found(result), result.refused, result.keys) == ({"records"}, 5, 0)
    assert "made under another master key" in texts(result)
    assert "5 of 5 records are refused" in texts(result)


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


async def test_a_copy_under_another_master_key_is_found(start_node: Start) -> None:
    node = await dr_node(start_node, "ec-p256")
    in_file(node, "UPDATE cluster SET mac = ?", os.urandom(32))
    assert found(await drilled(node)) == {"master_key"}


async def test_a_key_that_does_not_work_is_named(start_node: Start) -> None:
    node = await dr_node(start_node, "ec-p256", "aes-256")

    class Prover:
        def prove(self, record: Any) -> Proven:
            bad = record.key_type == "ec-p256"
            return Proven(Usage(0), "it computes nothing") if bad else Proven(Usage.ENCRYPT)

    use(node, prover=Prover())
    result = await drilled(node)
    assert (found(result), result.keys, result.failed, result.kinds) == ({"keys"}, 2, 1, ("aes-256: encrypt",))
    assert f"key {node.key_ids[0].hex()} of partition 1 (ec-p256) does not work" in texts(result)
    assert result.rto_seconds is None, "not everything was served"


async def test_a_wrong_known_answer_is_found(start_node: Start) -> None:
    node = await dr_node(start_node)
    use(node, known_answers=lambda: ("CKM_ECDSA with ec-p256: wrong",))
    assert found(await drilled(node)) == {"known_answers"}


async def test_a_record_that_the_copy_lacks_is_found(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES)
    in_file(node, "DELETE FROM records WHERE name = ?", name_of(node, 0))
    result = await drilled(node)
    assert (found(result), result.refused) == ({"records"}, 1)
    assert "this node has it, and the copy does not" in texts(result)


async def test_an_older_state_of_a_record_is_found(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256")
    old = node.store.read(name_of(node, 0))
    node.store.promoted = True
    client = await node.client()
    assert (await client.call(Opcode.DESTROY_KEY, DestroyKey(node.key_ids[0]), operation_id=9)).status == Status.OK
    node.store.promoted = False
    assert (await drilled(node)).good
    in_file(node, "UPDATE records SET data = ? WHERE name = ?", old.data, old.name)
    result = await drilled(node)
    assert (found(result), result.keys) == ({"records"}, 0)
    assert "older than one that this node has seen" in texts(result)


async def test_an_object_that_the_copy_lacks_or_has_in_an_older_state_is_found(start_node: Start) -> None:
    node = await dr_node(start_node)
    node.store.promoted = True
    client, object_id = await node.client(), os.urandom(16)
    made = CreateObject(object_id, "data", b"one")
    assert (await client.call(Opcode.CREATE_OBJECT, made, operation_id=8)).status == Status.OK
    name = node.keystore.keyring.object_name(1, object_id)
    old = node.store.read(name)
    changed = UpdateObject(object_id, value=b"two")
    assert (await client.call(Opcode.UPDATE_OBJECT, changed, operation_id=9)).status == Status.OK
    node.store.promoted = False
    assert (await drilled(node)).good
    in_file(node, "UPDATE records SET data = ? WHERE name = ?", old.data, name)
    result = await drilled(node)
    assert (found(result), result.refused) == ({"records"}, 1)
    assert "older than one that this node has seen" in texts(result)
    in_file(node, "DELETE FROM records WHERE name = ?", name)
    result = await drilled(node)
    assert (found(result), result.refused) == ({"records"}, 1)
    assert "this node has it, and the copy does not" in texts(result)


async def test_what_is_left_of_a_destroyed_key_is_missed_in_the_copy(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256")
    node.store.promoted = True
    client = await node.client()
    assert (await client.call(Opcode.DESTROY_KEY, DestroyKey(node.key_ids[0]), operation_id=9)).status == Status.OK
    node.store.promoted = False
    in_file(node, "DELETE FROM records WHERE name = ?", name_of(node, 0))
    result = await drilled(node)
    assert (found(result), result.refused) == ({"records"}, 1), "its id could be given to another key there"


async def test_a_copy_that_is_older_than_the_node_has_seen_is_found(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256")
    node.keystore.follower.ledger.follow(node.store.copy.revision() + 5)
    result = await drilled(node)
    assert (found(result), result.refused) == ({"lag"}, 0)
    assert "this site's copy ends at revision" in texts(result)


async def test_a_row_of_no_kind_and_one_that_the_node_itself_refuses_are_found(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256")
    node.store.create(b"n" * 32, b"\x93\x7f\xa0\xa0")
    node.keystore.follower.follow()
    result = await drilled(node)
    assert (found(result), result.refused) == ({"records"}, 1)
    in_file(node, "DELETE FROM records WHERE name = ?", b"n" * 32)
    assert (await drilled(node)).refused == 1, "the node refuses it still"


async def test_a_copy_that_stays_behind_for_longer_than_the_objective_is_found(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256")
    copy = OddCopy(node.store.copy, lacks=1)
    use(node, copy=copy, lag=CopyLag(copy, node.keystore.prober))
    set_recovery(node, objective_seconds=0.1)
    result = await drilled(node)
    assert (found(result), result.lag_records) == ({"lag"}, 1)
    assert result.lag_seconds is not None
    assert result.lag_seconds > 0.1


async def test_a_copy_that_catches_up_in_time_is_good_and_its_lag_is_told(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256")
    copy = OddCopy(node.store.copy, lacks=1, catches_up=3)
    use(node, copy=copy, lag=CopyLag(copy, node.keystore.prober))
    result = await drilled(node)
    assert (result.good, result.lag_records) == (True, 1)
    assert result.lag_seconds


async def test_a_node_without_news_of_its_store_is_found(start_node: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    node = await dr_node(start_node, "hmac-256")
    monkeypatch.setattr(type(node.keystore.follower), "lag_s", 60.0)
    assert found(await drilled(node)) == {"lag"}


@pytest.mark.parametrize("out", ["revision", "page", "key", ""])
async def test_a_store_that_does_not_answer_is_found(start_node: Start, out: str) -> None:
    node = await dr_node(start_node, "hmac-256")
    copy = OddCopy(node.store.copy, out=out, alone=not out)
    use(node, copy=copy, lag=CopyLag(copy, node.keystore.prober))
    result = await drilled(node)
    assert found(result) == {"store"}
    assert result.keys == (1 if out in ("revision", "") else 0)


async def test_a_copy_that_is_lost_while_it_catches_up_is_found(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256")
    copy = OddCopy(node.store.copy, lacks=1)
    use(node, copy=copy, lag=CopyLag(copy, node.keystore.prober))
    running = asyncio.create_task(drilled(node))
    await asyncio.sleep(0.15)
    copy.out = "revision"
    assert found(await running) == {"store"}


async def test_a_drill_that_breaks_is_not_good(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256")
    use(node, prover=None)
    result = await drilled(node)
    assert (found(result), result.rto_seconds is not None) == ({"inside"}, True)
    assert "AttributeError" in texts(result)


async def test_a_step_that_has_no_turn_in_time_is_not_good(start_node: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    node = await dr_node(start_node, "hmac-256")
    monkeypatch.setattr(drill_run, "STEP_S", -1.0)
    assert found(await drilled(node)) == {"inside"}


async def test_a_drill_of_its_own_keeps_the_pace_and_uses_what_was_drawn(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES, "hmac-256")
    drills = node.keystore.drills
    keys = [(record.key_type, record.place) for record in node.keystore.table.living]
    set_recovery(node, keys_per_second=50.0)
    chosen = drawn(keys, 1, lambda _keys: None)
    result = await DrillRun(drills._parts, drills.settings, chosen, commanded=False).result()
    assert (result.keys, result.whole, result.records) == (5, False, 6)
    assert result.seconds >= 5 / 50
