from collections.abc import Callable
from typing import Any

from hsm_wire import mechanisms as ckm
from hsm_wire.messages import Empty, InfoResult, Random, RandomResult, decode_body
from hsm_wire.opcodes import Opcode


async def test_info_names_what_is_offered(start_node: Callable[[], Any]) -> None:
    client = await start_node().client()
    info = decode_body(InfoResult, (await client.call(Opcode.INFO, Empty())).body)
    assert (info.cluster, info.node) == ("dev", "node-1")
    offered = {row.number for row in info.mechanisms}
    assert ckm.CKM_ECDSA_SHA256 in offered
    assert ckm.CKM_RSA_X_509 not in offered
    assert {"ed25519", "ml-dsa-65"} <= set(info.key_types)


async def test_random_bytes_have_the_length_asked_for(start_node: Callable[[], Any]) -> None:
    client = await start_node().client()
    assert len(decode_body(RandomResult, (await client.call(Opcode.RANDOM, Random(1000))).body).data) == 1000
