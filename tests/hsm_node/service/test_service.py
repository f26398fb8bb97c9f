import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from promoted_cluster import cluster_of

from hsm_wire import kinds
from hsm_wire.administration import SetNodeState
from hsm_wire.messages import DescribeKey, DestroyKey, Empty, GenerateKey, UpdateKey
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

DR_NODE = {
    "zurich": ("active", "node-2", 1),
    "geneva": ("active", "node-3", 2),
    "alps": ("disaster-recovery", "node-1", 3),
}


async def test_roles_and_partitions_are_enforced_by_principal(start_node: Callable[[], Any]) -> None:
    client = await start_node().client()
    key = os.urandom(16)
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256"))).status == Status.OK
    client.bind(8, "spiffe://dev/client/user", 1, ("use",))
    client.bind(9, "spiffe://dev/client/other", 2, ("use", "manage"))
    client.bind(10, "spiffe://dev/operator/root", 0, ("operate",))
    client.bind(11, "spiffe://dev/client/odd", 0, ("use",))
    new = GenerateKey(os.urandom(16), "ec-p256")
    assert (await client.call(Opcode.GENERATE_KEY, new, principal=8)).status == Status.DENIED
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key), principal=8)).status == Status.OK
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key), principal=9)).status == Status.KEY_NOT_FOUND
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key), principal=10)).status == Status.DENIED
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key), principal=11)).status == Status.DENIED
    assert (await client.call(Opcode.INFO, Empty(), principal=10)).status == Status.OK


@pytest.mark.parametrize(
    ("opcode", "body"),
    [
        (Opcode.UPDATE_KEY, UpdateKey(b"k" * 16, enabled=False)),
        (Opcode.DESTROY_KEY, DestroyKey(b"k" * 16)),
        (Opcode.SET_NODE_STATE, SetNodeState("node-1", "drain")),
    ],
)
async def test_a_change_without_an_operation_id_is_refused(
    start_node: Callable[[], Any], text_of: Callable[[Any], str], opcode: Opcode, body: msgspec.Struct
) -> None:
    client = await start_node().client()
    client.bind(9, "spiffe://dev/client/all", 1, ("manage", "operate"))
    made = await client.call(Opcode.GENERATE_KEY, GenerateKey(b"k" * 16, "aes-128"), principal=9, operation_id=0)
    assert made.status == Status.OK
    refused = await client.call(opcode, body, principal=9, operation_id=0)
    assert refused.status == Status.BAD_REQUEST
    assert "operation id" in text_of(refused)
    assert (await client.call(opcode, body, principal=9, operation_id=1)).status == Status.OK


async def test_a_node_that_stands_by_serves_no_client(
    start_node: Callable[[], Any], text_of: Callable[[Any], str], tmp_path: Path
) -> None:
    node = start_node()
    client = await node.client()
    client.bind(10, "spiffe://dev/operator/root", 0, ("operate",))
    key = os.urandom(16)
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256"))).status == Status.OK
    node.keystore.promotion.configure(cluster_of(tmp_path, DR_NODE))
    for opcode, body in (
        (Opcode.DESCRIBE_KEY, DescribeKey(key)),
        (Opcode.GENERATE_KEY, GenerateKey(os.urandom(16), "ec-p256")),
        (Opcode.DESTROY_KEY, DestroyKey(key)),
    ):
        refused = await client.call(opcode, body)
        assert (refused.status, refused.flags) == (Status.NOT_CURRENT, kinds.Flag.NOT_EXECUTED)
        assert "stands by" in text_of(refused)
    assert (await client.call(Opcode.CLUSTER_STATE, Empty(), principal=10)).status == Status.OK
