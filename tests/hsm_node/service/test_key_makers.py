"""Keys out of keys, through real nodes that share a store."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding, aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from hsm_wire import mechanisms as ckm
from hsm_wire.messages import (
    NIL_PARAMETERS as NIL,
)
from hsm_wire.messages import (
    Decapsulate,
    Decrypt,
    DecryptResult,
    Derive,
    DescribeKey,
    DestroyKey,
    Encapsulate,
    EncapsulateResult,
    Encrypt,
    EncryptResult,
    GenerateKey,
    ImportKey,
    KeyInfo,
    Policy,
    RotateKey,
    Sign,
    SignResult,
    UnwrapKey,
    Verify,
    WrapKey,
    WrapKeyResult,
    decode_body,
    encode_body,
)
from hsm_wire.opcodes import Opcode
from hsm_wire.parameters import EcdhParameters, GcmParameters
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

Start = Callable[[], Any]
EXPORTABLE = Policy(int(PolicyFlag.EXPORTABLE))
KWP = ckm.CKM_AES_KEY_WRAP_KWP


async def imported(client: Any, material: bytes, usage: int = 0, policy: Policy | None = None) -> bytes:
    key_id = os.urandom(16)
    key_type = f"aes-{len(material) * 8}"
    answer = await client.call(
        Opcode.IMPORT_KEY, ImportKey(key_id, key_type, material, usage=usage, policy=policy or Policy())
    )
    assert answer.status == Status.OK
    return key_id


async def encrypted(client: Any, key_id: bytes) -> tuple[bytes, bytes]:
    answer = await client.call(Opcode.ENCRYPT, Encrypt(key_id, ckm.CKM_AES_GCM, NIL, b"plain"))
    assert answer.status == Status.OK
    result = decode_body(EncryptResult, answer.body)
    return result.iv, result.ciphertext


async def test_an_exportable_key_leaves_wrapped_and_comes_back_the_same(start_node: Start) -> None:
    client = await start_node().client()
    kek, secret = os.urandom(32), os.urandom(32)
    wrapping = await imported(client, kek, int(Usage.WRAP | Usage.UNWRAP))
    key = await imported(client, secret, policy=EXPORTABLE)
    answer = await client.call(Opcode.WRAP_KEY, WrapKey(wrapping, KWP, NIL, key))
    wrapped = decode_body(WrapKeyResult, answer.body).wrapped
    assert aes_key_unwrap_with_padding(kek, wrapped) == secret
    back = os.urandom(16)
    body = UnwrapKey(wrapping, KWP, NIL, wrapped, back, "aes-256", "back")
    first, again = await client.call(Opcode.UNWRAP_KEY, body), await client.call(Opcode.UNWRAP_KEY, body)
    assert first.body == again.body
    assert decode_body(KeyInfo, first.body).origin == "unwrapped"
    iv, ciphertext = await encrypted(client, back)
    assert AESGCM(secret).decrypt(iv, ciphertext, None) == b"plain"


@pytest.mark.parametrize("exportable", [True, False])
async def test_a_key_that_may_not_leave_does_not(start_node: Start, exportable: bool) -> None:
    client = await start_node().client()
    wrapping = await imported(client, os.urandom(32), int(Usage.WRAP))
    key = await imported(client, os.urandom(32), policy=EXPORTABLE if exportable else Policy())
    answer = await client.call(Opcode.WRAP_KEY, WrapKey(wrapping, KWP, NIL, key))
    assert answer.status == (Status.OK if exportable else Status.KEY_USAGE)


async def test_what_is_not_a_wrapped_key_of_that_type_is_refused_in_one_way(start_node: Start) -> None:
    client = await start_node().client()
    kek = os.urandom(32)
    wrapping = await imported(client, kek, int(Usage.UNWRAP))
    details = set()
    for wrapped in (os.urandom(40), b"", aes_key_wrap_with_padding(kek, os.urandom(16)), os.urandom(41)):
        body = UnwrapKey(wrapping, KWP, NIL, wrapped, os.urandom(16), "aes-256")
        answer = await client.call(Opcode.UNWRAP_KEY, body)
        assert answer.status == Status.BAD_DATA
        details.add(bytes(answer.body))
    assert len(details) == 1, "the reasons tell what the data is"


async def test_two_ends_of_an_agreement_have_the_same_key(start_node: Start) -> None:
    client = await start_node().client()
    key = os.urandom(16)
    made = await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256", usage=int(Usage.DERIVE)))
    peer = ec.generate_private_key(ec.SECP256R1())
    theirs = peer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    parameters = msgspec.Raw(encode_body(EcdhParameters(theirs, ckm.CKM_SHA256, b"info", b"salt")))
    new = os.urandom(16)
    answer = await client.call(Opcode.DERIVE, Derive(key, ckm.CKM_ECDH1_DERIVE, parameters, new, "aes-256"))
    assert decode_body(KeyInfo, answer.body).origin == "derived"
    ours = load_der_public_key(decode_body(KeyInfo, made.body).public_key)
    assert isinstance(ours, ec.EllipticCurvePublicKey)
    secret = HKDF(SHA256(), 32, b"salt", b"info").derive(peer.exchange(ec.ECDH(), ours))
    iv, ciphertext = await encrypted(client, new)
    assert AESGCM(secret).decrypt(iv, ciphertext, None) == b"plain"


async def test_what_is_derived_from_a_key_that_stays_stays(start_node: Start) -> None:
    client = await start_node().client()
    key = os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ml-kem-768"))
    body = Encapsulate(key, ckm.CKM_ML_KEM, NIL, os.urandom(16), "aes-256", policy=EXPORTABLE)
    assert (await client.call(Opcode.ENCAPSULATE, body)).status == Status.KEY_USAGE


async def test_both_sides_of_an_encapsulation_have_the_same_key_and_sent_twice_it_is_one(start_node: Start) -> None:
    one, two = await start_node().client(), await start_node().client()
    key, near, far = (os.urandom(16) for _ in range(3))
    await one.call(Opcode.GENERATE_KEY, GenerateKey(key, "ml-kem-768"))
    body = Encapsulate(key, ckm.CKM_ML_KEM, NIL, near, "aes-256")
    answers = await asyncio.gather(*(client.call(Opcode.ENCAPSULATE, body) for client in (one, two)))
    again = await two.call(Opcode.ENCAPSULATE, body)
    assert {answer.body for answer in answers} == {again.body}
    ciphertext = decode_body(EncapsulateResult, answers[0].body).ciphertext
    answer = await two.call(Opcode.DECAPSULATE, Decapsulate(key, ckm.CKM_ML_KEM, NIL, ciphertext, far, "aes-256"))
    assert answer.status == Status.OK
    iv, sealed = await encrypted(one, near)
    parameters = msgspec.Raw(encode_body(GcmParameters(iv)))
    opened = await two.call(Opcode.DECRYPT, Decrypt(far, ckm.CKM_AES_GCM, parameters, sealed))
    assert decode_body(DecryptResult, opened.body).plaintext == b"plain"


async def test_a_derivation_sent_again_answers_though_its_key_is_gone(start_node: Start) -> None:
    client = await start_node().client()
    key, new = os.urandom(16), os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ml-kem-768"))
    body = Encapsulate(key, ckm.CKM_ML_KEM, NIL, new, "aes-256")
    first = await client.call(Opcode.ENCAPSULATE, body)
    await client.call(Opcode.DESTROY_KEY, DestroyKey(key), operation_id=7)
    assert (await client.call(Opcode.ENCAPSULATE, body)).body == first.body
    other = Encapsulate(key, ckm.CKM_ML_KEM, NIL, os.urandom(16), "aes-256")
    assert (await client.call(Opcode.ENCAPSULATE, other)).status == Status.KEY_NOT_FOUND


async def signed(client: Any, key_id: bytes) -> Any:
    return await client.call(Opcode.SIGN, Sign(key_id, ckm.CKM_ECDSA_SHA256, NIL, b"data"))


async def test_a_rotated_key_verifies_and_the_new_one_signs(start_node: Start) -> None:
    one, two = await start_node().client(), await start_node().client()
    old, new = os.urandom(16), os.urandom(16)
    await one.call(Opcode.GENERATE_KEY, GenerateKey(old, "ec-p256", "tls"))
    signature = decode_body(SignResult, (await signed(one, old)).body).signature
    answers = [await client.call(Opcode.ROTATE_KEY, RotateKey(old, new), operation_id=5) for client in (one, two)]
    assert answers[0].body == answers[1].body
    info = decode_body(KeyInfo, answers[0].body)
    assert (info.key_id, info.label, info.replaces) == (new, "tls", old)
    assert (await signed(two, new)).status == Status.OK
    assert (await signed(two, old)).status == Status.KEY_USAGE
    verify = Verify(old, ckm.CKM_ECDSA_SHA256, NIL, b"data", signature)
    assert (await two.call(Opcode.VERIFY, verify)).status == Status.OK
    described = decode_body(KeyInfo, (await two.call(Opcode.DESCRIBE_KEY, DescribeKey(old))).body)
    assert described.replaced_by == new


async def test_of_two_rotations_at_once_one_wins_and_leaves_one_key(start_node: Start) -> None:
    clients = [await start_node().client() for _ in range(2)]
    old, ids = os.urandom(16), [os.urandom(16) for _ in range(2)]
    await clients[0].call(Opcode.GENERATE_KEY, GenerateKey(old, "ec-p256"))
    answers = await asyncio.gather(
        *(
            client.call(Opcode.ROTATE_KEY, RotateKey(old, new), operation_id=number)
            for number, (client, new) in enumerate(zip(clients, ids, strict=True), 1)
        )
    )
    assert sorted(answer.status for answer in answers) == [Status.OK, Status.KEY_CHANGED]
    found = [(await clients[0].call(Opcode.DESCRIBE_KEY, DescribeKey(key))).status for key in ids]
    assert found == [answer.status if answer.status == Status.OK else Status.KEY_NOT_FOUND for answer in answers]


async def test_a_disabled_key_is_not_rotated(start_node: Start) -> None:
    client = await start_node().client()
    old = os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(old, "ec-p256"))
    await client.call(Opcode.DESTROY_KEY, DestroyKey(old, 60), operation_id=1)
    answer = await client.call(Opcode.ROTATE_KEY, RotateKey(old, os.urandom(16)), operation_id=2)
    assert answer.status == Status.KEY_DISABLED
