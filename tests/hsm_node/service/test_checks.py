"""The deep check of a node through its own queue."""

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from hsm_wire.messages import Check, CheckResult, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
CHALLENGE = bytes(range(32))


async def test_a_proxy_gets_a_signature_that_verifies_under_a_key_that_stays(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    client.bind(9, "spiffe://dev/proxy/p1", 0, ("check",))
    points = set()
    for _ in range(2):
        frame = await client.call(Opcode.CHECK, Check(CHALLENGE), principal=9)
        assert frame.status == Status.OK
        result = decode_body(CheckResult, frame.body)
        points.add(result.public_key)
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), result.public_key)
        r, s = (int.from_bytes(part) for part in (result.signature[:32], result.signature[32:]))
        public.verify(utils.encode_dss_signature(r, s), CHALLENGE, ec.ECDSA(hashes.SHA256()))
    assert len(points) == 1
    assert node.keystore.checks.served == 2


async def test_a_client_may_not_ask_for_it(start_node: Start) -> None:
    client = await start_node().client()
    assert (await client.call(Opcode.CHECK, Check(CHALLENGE))).status == Status.DENIED
