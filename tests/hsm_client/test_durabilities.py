"""A request's wish for durability, as it is sent."""

import logging

import msgspec
import pytest

from hsm_client import connect, sync
from hsm_client.durabilities import durability_flag
from hsm_client.errors import BadRequest
from hsm_wire import messages as m
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status


def test_each_durability_has_a_bit_and_nothing_said_has_none() -> None:
    assert [durability_flag(each) for each in (None, "quorum", "dr")] == [0, 4, 8]
    with pytest.raises(BadRequest, match="unknown durability 'all'; use quorum or dr"):
        durability_flag("all")  # type: ignore[arg-type]  # what a caller without types may say


async def test_whatever_makes_or_changes_something_can_ask_for_it(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("aes-256", durability="dr")
        await hsm.import_key("aes-256", bytes(32), durability="quorum")
        await key.update(label="x", durability="dr")
        await key.disable(durability="dr")
        await key.enable(durability="dr")
        await key.rotate(durability="quorum")
        await key.destroy(durability="dr")
        kem = await hsm.generate_key("ml-kem-768")
        made = await kem.encapsulate(durability="dr")
        await kem.decapsulate(made.ciphertext, durability="dr")
        await made.key.hkdf("aes-256", durability="dr")
        stored = await hsm.create_object("data", b"x", durability="dr")
        await stored.update(label="x", durability="dr")
        await stored.destroy(durability="dr")
    flags = [(Opcode(frame.opcode).name, frame.flags) for frame in proxy.requests]
    assert flags == [
        ("GENERATE_KEY", 8), ("IMPORT_KEY", 4), ("UPDATE_KEY", 8), ("UPDATE_KEY", 8), ("UPDATE_KEY", 8),
        ("ROTATE_KEY", 4), ("DESTROY_KEY", 8), ("GENERATE_KEY", 0), ("ENCAPSULATE", 8), ("DECAPSULATE", 8),
        ("DERIVE", 8), ("CREATE_OBJECT", 8), ("UPDATE_OBJECT", 8), ("DESTROY_OBJECT", 8),
    ]  # fmt: skip


def test_the_blocking_client_sends_it_as_well(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm:
        key = hsm.generate_key("aes-256", durability="dr")
        key.update(label="x", durability="quorum")
        key.disable(durability="dr")
        key.enable(durability="dr")
        key.rotate(durability="dr").destroy(durability="quorum")
        stored = hsm.create_object("data", b"x", durability="dr")
        stored.update(label="x", durability="quorum")
        stored.destroy(durability="dr")
    assert [frame.flags for frame in fake_cluster.proxy.requests] == [8, 4, 8, 8, 8, 4, 8, 4, 8]


async def test_a_request_that_is_sent_again_asks_for_the_same(proxy, configured):
    proxy.script.append((Status.UNAVAILABLE, m.Failure("")))
    async with connect(configured(proxy)) as hsm:
        await hsm.generate_key("aes-256", durability="dr")
    assert [frame.flags for frame in proxy.requests] == [8, 8]


async def test_what_the_dr_site_does_not_have_yet_is_done_and_its_result_is_not_lost(proxy, configured, caplog):
    async with connect(configured(proxy)) as hsm:
        kem = await hsm.generate_key("ml-kem-768")
        info = m.KeyInfo(b"s" * 16, "secret-256", "made", 0, True, 1, 0, "derived", b"", m.Policy())
        body = m.encode_body(m.EncapsulateResult(b"ciphertext", info))
        proxy.script.append((Status.OK_DR_PENDING, m.Unconfirmed(["alps"], msgspec.Raw(body))))
        with caplog.at_level(logging.WARNING, "hsm_client"):
            made = await kem.encapsulate(durability="dr")
    assert (made.ciphertext, made.key.label) == (b"ciphertext", "made")
    assert caplog.messages == ["done, but not yet at the DR site alps"]
    assert [Opcode(frame.opcode) for frame in proxy.requests] == [Opcode.GENERATE_KEY, Opcode.ENCAPSULATE]
