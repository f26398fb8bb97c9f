"""Which uses cost what, through real nodes; what each of the meter's parts does is in its own tests."""

import os
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from counted_keys import PARTITION, FailingStore, encrypt, new_key, record_of, sign

from hsm_daemon import clock
from hsm_node.backends.software import IMPLEMENTED, SoftwareBackend
from hsm_node.core.use_limits import KEPT_USES
from hsm_wire import mechanisms as ckm
from hsm_wire.frames import Frame
from hsm_wire.kinds import Flag
from hsm_wire.messages import NIL_PARAMETERS as NIL
from hsm_wire.messages import (
    Decapsulate,
    Decrypt,
    DecryptResult,
    Encapsulate,
    EncapsulateResult,
    Encrypt,
    EncryptResult,
    Failure,
    Policy,
    Sign,
    UnwrapKey,
    WrapKey,
    WrapKeyResult,
    decode_body,
    encode_body,
)
from hsm_wire.opcodes import Opcode
from hsm_wire.parameters import CKG_MGF1_SHA256, IvParameters, OaepParameters
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

Start = Callable[..., Any]
TextOf = Callable[[Frame], str]
OAEP = msgspec.Raw(encode_body(OaepParameters(ckm.CKM_SHA256, CKG_MGF1_SHA256)))
KWP = ckm.CKM_AES_KEY_WRAP_KWP
ONE_USE = Policy(max_uses=1)
EXPORTABLE = int(PolicyFlag.EXPORTABLE)


@pytest.fixture
def padded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer everything that is implemented, CBC with padding too, and let no time pass."""
    monkeypatch.setattr(SoftwareBackend, "offered", property(lambda _self: IMPLEMENTED))
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now)


async def statuses(client: Any, opcode: int, bodies: list[msgspec.Struct]) -> list[int]:
    """Send one after the other, each with an operation id of its own."""
    return [(await client.call(opcode, body, operation_id=100 + at)).status for at, body in enumerate(bodies)]


async def test_rsa_encryption_takes_the_public_half_and_counts_nothing(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "rsa-2048", ONE_USE, int(Usage.ENCRYPT | Usage.DECRYPT))
    bodies: list[msgspec.Struct] = [Encrypt(key, ckm.CKM_RSA_PKCS_OAEP, OAEP, b"data") for _ in range(3)]
    assert await statuses(client, Opcode.ENCRYPT, bodies) == [Status.OK] * 3
    sealed = decode_body(EncryptResult, (await client.call(Opcode.ENCRYPT, bodies[0])).body).ciphertext
    opened = [Decrypt(key, ckm.CKM_RSA_PKCS_OAEP, OAEP, sealed), Decrypt(key, ckm.CKM_RSA_PKCS_OAEP, OAEP, bytes(256))]
    assert await statuses(client, Opcode.DECRYPT, [*opened]) == [Status.OK, Status.KEY_USAGE]
    assert record_of(node, key).uses == 1


async def test_decapsulating_counts_and_encapsulating_does_not(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "ml-kem-768", ONE_USE)
    made: list[msgspec.Struct] = [Encapsulate(key, ckm.CKM_ML_KEM, NIL, os.urandom(16), "aes-256") for _ in range(3)]
    assert await statuses(client, Opcode.ENCAPSULATE, made) == [Status.OK] * 3
    answer = await client.call(Opcode.ENCAPSULATE, made[0], operation_id=100)
    ciphertext = decode_body(EncapsulateResult, answer.body).ciphertext
    first, other = (Decapsulate(key, ckm.CKM_ML_KEM, NIL, ciphertext, os.urandom(16), "aes-256") for _ in range(2))
    assert await statuses(client, Opcode.DECAPSULATE, [first, other]) == [Status.OK, Status.KEY_USAGE]
    again = await client.call(Opcode.DECAPSULATE, first, operation_id=999)
    assert again.status == Status.OK, "the key that it made is there, so nothing is used"
    assert record_of(node, key).uses == 1


async def test_a_refused_derivation_counts_nothing(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key = await new_key(client, "ml-kem-768", ONE_USE)
    body = Decapsulate(key, ckm.CKM_ML_KEM, NIL, bytes(1088), os.urandom(16), "aes-256", policy=Policy(EXPORTABLE))
    assert await statuses(client, Opcode.DECAPSULATE, [body]) == [Status.KEY_USAGE]
    assert record_of(node, key).uses == 0


async def test_wrapping_counts_for_the_key_that_wraps_and_for_the_key_that_leaves(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    wrapping = await new_key(client, "aes-256", Policy(max_uses=3), int(Usage.WRAP | Usage.UNWRAP))
    target = await new_key(client, "aes-256", Policy(EXPORTABLE, max_uses=2))
    assert await statuses(client, Opcode.WRAP_KEY, [WrapKey(wrapping, KWP, NIL, target)] * 2) == [Status.OK] * 2
    assert (record_of(node, wrapping).uses, record_of(node, target).uses) == (2, 2)
    third = (await statuses(client, Opcode.WRAP_KEY, [WrapKey(wrapping, KWP, NIL, target)] * 3))[2]
    assert third == Status.KEY_USAGE
    assert record_of(node, wrapping).uses == 2, "what was refused for the one is not counted for the other"
    answer = await client.call(Opcode.WRAP_KEY, WrapKey(wrapping, KWP, NIL, target), operation_id=100)
    wrapped = decode_body(WrapKeyResult, answer.body).wrapped
    back = [UnwrapKey(wrapping, KWP, NIL, wrapped, os.urandom(16), "aes-256") for _ in range(2)]
    assert await statuses(client, Opcode.UNWRAP_KEY, [*back]) == [Status.OK, Status.KEY_USAGE]


async def test_what_does_not_count_is_answered_without_the_store(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    key, secret = await new_key(client, "ec-p256"), await new_key(client, "aes-256")
    await encrypt(client, secret)
    store = FailingStore(node)
    store.failing = True
    for number in (1, 2):
        assert (await sign(client, key, b"data", number)).status == Status.OK
        assert (await encrypt(client, secret)).status == Status.OK
    assert node.keystore.failures.store == 0


async def test_above_the_limit_of_waiting_uses_a_node_is_overloaded(start_node: Start) -> None:
    node = start_node("waiting_uses = 2")
    client = await node.client()
    key = await new_key(client, "ec-p256", Policy(max_uses=100))
    for number in range(1, 11):
        client.request(Opcode.SIGN, Sign(key, ckm.CKM_ECDSA_SHA256, NIL, b"data"), operation_id=number)
    answers = [await client.frame() for _ in range(10)]
    refused = [answer for answer in answers if answer.status == Status.OVERLOADED]
    assert refused
    assert all(answer.flags & Flag.NOT_EXECUTED for answer in refused)
    assert node.keystore.meter.waiting == 0
    assert record_of(node, key).uses == 10 - len(refused)


@pytest.mark.parametrize(("timeout_ms", "status"), [(100, Status.TIMEOUT), (5000, Status.STORE_UNAVAILABLE)])
async def test_who_waits_for_a_slow_store_is_told_in_time_that_nothing_was_done(
    start_node: Start, timeout_ms: int, status: Status
) -> None:
    node = start_node("counting_s = 0.25")
    client = await node.client()
    key, secret = await new_key(client, "ec-p256", Policy(max_uses=9)), await new_key(client, "aes-256")
    free, change = threading.Event(), node.store.change

    def slow(*arguments: Any) -> Any:
        free.wait(20)
        return change(*arguments)

    node.store.change = slow
    begun = clock.monotonic()
    body = Sign(key, ckm.CKM_ECDSA_SHA256, NIL, b"data")
    signed = await client.call(Opcode.SIGN, body, operation_id=1, timeout_ms=timeout_ms)
    encrypted = await encrypt(client, secret, timeout_ms=timeout_ms)
    took_s = clock.monotonic() - begun
    free.set()
    await node.keystore.rewriter.rewrite((PARTITION, key), clock.monotonic() + 10, lambda record: record)
    for answer in (signed, encrypted):
        assert (answer.status, answer.flags & Flag.NOT_EXECUTED) == (status, Flag.NOT_EXECUTED)
    assert took_s < 2.0, "a proxy gives an attempt up after a second"
    assert (await encrypt(client, secret)).status == Status.OK
    assert (await client.call(Opcode.SIGN, body, operation_id=1)).status == Status.OK
    assert record_of(node, key).uses == 1, "counted too late, it is known when it is sent again"


async def test_uses_that_were_given_up_do_not_pile_up_before_a_store_that_hangs(start_node: Start) -> None:
    node = start_node("counting_s = 0.05")
    client = await node.client()
    key, secret = await new_key(client, "ec-p256", Policy(max_uses=20)), await new_key(client, "aes-256")
    free, change, meter = threading.Event(), node.store.change, node.keystore.meter

    def slow(*arguments: Any) -> Any:
        free.wait(20)
        return change(*arguments)

    node.store.change = slow
    for number in range(1, 11):
        client.request(Opcode.SIGN, Sign(key, ckm.CKM_ECDSA_SHA256, NIL, b"data"), operation_id=number)
        client.request(Opcode.ENCRYPT, Encrypt(secret, ckm.CKM_AES_GCM, NIL, b"data"))
    assert {(await client.frame()).status for _ in range(20)} == {Status.STORE_UNAVAILABLE}
    assert [list(line) for line in meter.counter._lines.values()] == [[]]
    assert [lease.waiting for lease in meter.encryptions._leases.values()] == [set()]
    free.set()
    assert (await sign(client, key, b"data", 20)).status == Status.OK
    assert record_of(node, key).uses <= KEPT_USES + 1, "those of the writing that hung count, no others"


@pytest.mark.usefixtures("padded")
async def test_decryption_with_cbc_padding_has_a_rate_of_its_own_and_failures_cost_the_same(
    start_node: Start, text_of: TextOf
) -> None:
    node = start_node("padding_decryptions_per_s = 0.5\npadding_decryptions_burst = 4")
    client = await node.client()
    key = await new_key(client, "aes-256", Policy(int(PolicyFlag.CBC_PADDING)))
    sealed = decode_body(
        EncryptResult, (await client.call(Opcode.ENCRYPT, Encrypt(key, ckm.CKM_AES_CBC_PAD, NIL, b"plain"))).body
    )
    iv = msgspec.Raw(encode_body(IvParameters(sealed.iv)))
    right = Decrypt(key, ckm.CKM_AES_CBC_PAD, iv, sealed.ciphertext)
    opened = await client.call(Opcode.DECRYPT, right)
    assert decode_body(DecryptResult, opened.body).plaintext == b"plain"
    wrong = [
        await client.call(Opcode.DECRYPT, Decrypt(key, ckm.CKM_AES_CBC_PAD, iv, data))
        for data in (bytes(32), b"x", b"")
    ]
    assert {(answer.status, answer.body) for answer in wrong} == {
        (Status.BAD_DATA, encode_body(Failure("the data does not decrypt with this key and these parameters")))
    }
    for body in (right, Decrypt(key, ckm.CKM_AES_CBC_PAD, iv, bytes(32))):
        refused = await client.call(Opcode.DECRYPT, body)
        assert (refused.status, refused.flags & Flag.NOT_EXECUTED) == (Status.OVERLOADED, Flag.NOT_EXECUTED)
        assert "limited rate" in text_of(refused)
        assert decode_body(Failure, refused.body).retry_after_ms == 2001
    assert node.keystore.meter.paddings.refused == 2
    other = await new_key(client, "aes-256", Policy(int(PolicyFlag.CBC_PADDING)))
    assert (await client.call(Opcode.DECRYPT, Decrypt(other, ckm.CKM_AES_CBC_PAD, iv, b"x"))).status == Status.BAD_DATA
    for _ in range(6):
        again = await client.call(Opcode.ENCRYPT, Encrypt(key, ckm.CKM_AES_CBC_PAD, NIL, b"plain"))
        assert again.status == Status.OK, "encryption tells nobody of padding"
