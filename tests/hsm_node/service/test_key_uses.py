import asyncio
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hsm_node.backends.base import LONG_DATA_BYTES
from hsm_wire import mechanisms as ckm
from hsm_wire.messages import (
    NIL_PARAMETERS as NIL,
)
from hsm_wire.messages import (
    Decrypt,
    DecryptResult,
    Encrypt,
    EncryptResult,
    GenerateKey,
    Sign,
    SignResult,
    UpdateKey,
    Verify,
    decode_body,
)
from hsm_wire.opcodes import Opcode
from hsm_wire.parameters import GcmParameters
from hsm_wire.statuses import Status

Start = Callable[[], Any]


@pytest.mark.parametrize(
    ("key_type", "mechanism"),
    [
        ("ec-p256", ckm.CKM_ECDSA_SHA256),
        ("rsa-2048", ckm.CKM_SHA256_RSA_PKCS),
        ("ed25519", ckm.CKM_EDDSA),
        ("hmac-256", ckm.CKM_SHA256_HMAC),
    ],
)
async def test_sign_and_verify_round_trip(start_node: Start, key_type: str, mechanism: int) -> None:
    client = await start_node().client()
    key = os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, key_type))
    signed = await client.call(Opcode.SIGN, Sign(key, mechanism, NIL, b"data"))
    signature = decode_body(SignResult, signed.body).signature
    good = await client.call(Opcode.VERIFY, Verify(key, mechanism, NIL, b"data", signature))
    bad = await client.call(Opcode.VERIFY, Verify(key, mechanism, NIL, b"Data", signature))
    assert (good.status, bad.status) == (Status.OK, Status.BAD_SIGNATURE)


async def test_encrypt_and_decrypt_round_trip(start_node: Start) -> None:
    client = await start_node().client()
    key = os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "aes-256"))
    sealed = decode_body(
        EncryptResult, (await client.call(Opcode.ENCRYPT, Encrypt(key, ckm.CKM_AES_GCM, NIL, b"plain"))).body
    )
    parameters = msgspec.Raw(msgspec.msgpack.encode(GcmParameters(sealed.iv)))
    opened = await client.call(Opcode.DECRYPT, Decrypt(key, ckm.CKM_AES_GCM, parameters, sealed.ciphertext))
    assert decode_body(DecryptResult, opened.body).plaintext == b"plain"


async def test_a_disabled_key_signs_through_no_node(start_node: Start) -> None:
    one, two = await start_node().client(), await start_node().client()
    key = os.urandom(16)
    await one.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256"))
    await two.call(Opcode.UPDATE_KEY, UpdateKey(key, enabled=False))
    for client in (one, two):
        refused = await client.call(Opcode.SIGN, Sign(key, ckm.CKM_ECDSA_SHA256, NIL, b""))
        assert refused.status == Status.KEY_DISABLED


async def test_parameters_must_be_those_of_the_mechanism(start_node: Start) -> None:
    client = await start_node().client()
    key = os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "rsa-2048"))
    for mechanism, raw in (
        (ckm.CKM_RSA_PKCS_PSS, b"\xc0"),
        (ckm.CKM_SHA256_RSA_PKCS, b"\x90"),
        (ckm.CKM_RSA_PKCS_PSS, b"\x91\x01"),
    ):
        refused = await client.call(Opcode.SIGN, Sign(key, mechanism, msgspec.Raw(raw), bytes(32)))
        assert refused.status == Status.BAD_REQUEST


async def test_a_cancelled_request_has_exactly_one_answer(start_node: Start) -> None:
    client = await start_node().client()
    key = os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "rsa-2048"))
    ids = [client.request(Opcode.SIGN, Sign(key, ckm.CKM_SHA256_RSA_PKCS, NIL, b"x")) for _ in range(30)]
    for number in ids:
        client.send(8, request_id=number)
    answers = [await asyncio.wait_for(client.frame(), 10) for _ in ids]
    assert sorted(answer.request_id for answer in answers) == ids
    assert {answer.status for answer in answers} <= {Status.OK, Status.CANCELLED}
    assert Status.CANCELLED in {answer.status for answer in answers}


@pytest.mark.parametrize(
    ("key_type", "data_bytes", "in_a_session"),
    [
        ("ec-p256", 128, (False, False)),
        ("ec-p256", LONG_DATA_BYTES, (True, True)),
        ("ec-p521", 128, (False, True)),
        ("rsa-2048", 128, (True, False)),
    ],
)
async def test_what_is_dear_runs_in_a_session_and_the_rest_on_the_loop(
    start_node: Start, monkeypatch: pytest.MonkeyPatch, key_type: str, data_bytes: int, in_a_session: tuple[bool, bool]
) -> None:
    node = start_node()
    client = await node.client()
    mechanism = ckm.CKM_SHA256_RSA_PKCS if key_type == "rsa-2048" else ckm.CKM_ECDSA_SHA256
    key, data = os.urandom(16), bytes(data_bytes)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, key_type))
    jobs: list[object] = []
    submit = node.keystore.sessions.submit
    monkeypatch.setattr(node.keystore.sessions, "submit", lambda job: (jobs.append(job), submit(job)))
    signed = await client.call(Opcode.SIGN, Sign(key, mechanism, NIL, data))
    for_signing = len(jobs)
    signature = decode_body(SignResult, signed.body).signature
    assert (await client.call(Opcode.VERIFY, Verify(key, mechanism, NIL, data, signature))).status == Status.OK
    assert (bool(for_signing), len(jobs) > for_signing) == in_a_session
