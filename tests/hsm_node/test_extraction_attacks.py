"""Each known way to have keys out of an HSM through its own interface, tried step by step by a client with all roles.

Names: Clulow, "On the security of PKCS#11" (CHES 2003); Delaune, Kremer, Steel, "Formal analysis of PKCS#11" (CSF 2008)
and "... and proprietary extensions" (JCS 2010); Bortolozzo, Centenaro, Focardi, Steel, "Attacking and fixing PKCS#11
security tokens" (CCS 2010, the tool is Tookan); Bleichenbacher (CRYPTO 1998), Manger (CRYPTO 2001), Vaudenay
(EUROCRYPT 2002). What is allowed on the way is asserted too: an attack that fails at its first step shows nothing.
"""

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding, aes_key_wrap, aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from hsm_node.backends import software
from hsm_node.backends.base import Outcome
from hsm_wire import mechanisms as ckm
from hsm_wire import messages as m
from hsm_wire import parameters as p
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import MECHANISMS, Data
from hsm_wire.messages import NIL_PARAMETERS as NIL
from hsm_wire.messages import Failure, KeyInfo, Policy, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

KW, KWP, GCM = ckm.CKM_AES_KEY_WRAP, ckm.CKM_AES_KEY_WRAP_KWP, ckm.CKM_AES_GCM
WRAP, UNWRAP, DECRYPT, ENCRYPT = Usage.WRAP, Usage.UNWRAP, Usage.DECRYPT, Usage.ENCRYPT
EXPORTABLE = PolicyFlag.EXPORTABLE
OPCODES = {
    m.GenerateKey: Opcode.GENERATE_KEY,
    m.ImportKey: Opcode.IMPORT_KEY,
    m.DescribeKey: Opcode.DESCRIBE_KEY,
    m.UpdateKey: Opcode.UPDATE_KEY,
    m.DestroyKey: Opcode.DESTROY_KEY,
    m.RotateKey: Opcode.ROTATE_KEY,
    m.WrapKey: Opcode.WRAP_KEY,
    m.UnwrapKey: Opcode.UNWRAP_KEY,
    m.Sign: Opcode.SIGN,
    m.Encrypt: Opcode.ENCRYPT,
    m.Decrypt: Opcode.DECRYPT,
    m.Derive: Opcode.DERIVE,
    m.Encapsulate: Opcode.ENCAPSULATE,
    m.Decapsulate: Opcode.DECAPSULATE,
}
OAEP = p.OaepParameters(ckm.CKM_SHA256, p.CKG_MGF1_SHA256)
HKDF = p.HkdfParameters(ckm.CKM_SHA256, b"salt", b"info")


class Attacker:
    """A client of the partition that may use and manage its keys, and wants one in the clear."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._operation = 0

    async def ask(self, body: msgspec.Struct) -> Any:
        self._operation += 1
        return await self._client.call(OPCODES[type(body)], body, operation_id=self._operation)

    async def refused(self, body: msgspec.Struct, status: Status, words: str = "") -> bytes:
        """Check what a step is refused with; return the whole answer."""
        frame = await self.ask(body)
        assert Status(frame.status) is status, frame
        assert words in decode_body(Failure, frame.body).detail
        return bytes(frame.body)

    async def done(self, body: msgspec.Struct, form: type[msgspec.Struct] = KeyInfo) -> Any:
        frame = await self.ask(body)
        assert frame.status == Status.OK, decode_body(Failure, frame.body).detail
        return decode_body(form, frame.body)

    async def generate(self, key_type: str, usage: int = 0, flags: int = 0) -> bytes:
        body = m.GenerateKey(os.urandom(16), key_type, usage=int(usage), policy=Policy(int(flags)))
        return bytes((await self.done(body)).key_id)

    async def bring(self, key_type: str, material: bytes, usage: int = 0, flags: int = 0) -> bytes:
        body = m.ImportKey(os.urandom(16), key_type, material, usage=int(usage), policy=Policy(int(flags)))
        return bytes((await self.done(body)).key_id)

    async def wrap(self, wrapping: bytes, key: bytes, mechanism: int = KWP) -> bytes:
        return bytes((await self.done(m.WrapKey(wrapping, mechanism, NIL, key), m.WrapKeyResult)).wrapped)


def unwrapping(wrapping: bytes, wrapped: bytes, key_type: str, usage: int = 0, flags: int = 0, by: int = KWP) -> Any:
    return m.UnwrapKey(
        wrapping, by, NIL, wrapped, os.urandom(16), key_type, usage=int(usage), policy=Policy(int(flags))
    )


def raw(parameters: p.Parameters) -> msgspec.Raw:
    return msgspec.Raw(encode_body(parameters))


def spki(private: Any) -> bytes:
    return bytes(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def pkcs8(private: Any) -> bytes:
    return bytes(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
async def attacker(start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Attacker]:
    """Somebody at a node that offers everything its back end has."""
    monkeypatch.setattr(software, "own_outcome", lambda: Outcome(software.IMPLEMENTED, ()))
    node = start_node("stall_s = 60")  # the attacker makes RSA keys on the node's own loop
    yield Attacker(await node.client())
    assert node.keystore.failures.internal == 0


# ---- Clulow 2003: conflicting usages


async def test_clulow_wrap_and_decrypt_conflict(attacker: Attacker) -> None:
    body = m.GenerateKey(os.urandom(16), "aes-256", usage=int(WRAP | DECRYPT))
    await attacker.refused(body, Status.BAD_REQUEST, "does nothing else")
    wrapping = await attacker.generate("aes-256", WRAP | UNWRAP)
    wrapped = await attacker.wrap(wrapping, await attacker.generate("aes-256", flags=EXPORTABLE))
    for mechanism, parameters in (
        (GCM, raw(p.GcmParameters(bytes(12)))),
        (ckm.CKM_AES_CBC, raw(p.IvParameters(bytes(16)))),
        (ckm.CKM_AES_CTR, raw(p.CtrParameters(128, bytes(16)))),
    ):
        await attacker.refused(m.Decrypt(wrapping, mechanism, parameters, wrapped), Status.KEY_USAGE)
    for usage in (DECRYPT, WRAP | DECRYPT):
        await attacker.refused(m.UpdateKey(wrapping, usage=int(usage)), Status.BAD_REQUEST, "only be taken away")


async def test_clulow_encrypt_and_unwrap_conflict(attacker: Attacker) -> None:
    body = m.GenerateKey(os.urandom(16), "aes-256", usage=int(ENCRYPT | UNWRAP))
    await attacker.refused(body, Status.BAD_REQUEST, "does nothing else")
    wrapping, data = await attacker.generate("aes-256", UNWRAP), await attacker.generate("aes-256")
    await attacker.refused(m.Encrypt(wrapping, ckm.CKM_AES_CBC, NIL, bytes(32)), Status.KEY_USAGE)
    forged = (await attacker.done(m.Encrypt(data, ckm.CKM_AES_CBC, NIL, bytes(48)), m.EncryptResult)).ciphertext
    await attacker.refused(unwrapping(data, forged, "aes-128"), Status.KEY_USAGE)


async def test_clulow_a_key_wrapped_by_a_weaker_one_is_as_weak(attacker: Attacker) -> None:
    strong, ecdsa = (
        await attacker.generate("aes-256", flags=EXPORTABLE),
        await attacker.generate("ec-p384", 0, EXPORTABLE),
    )
    weak, pair = await attacker.generate("aes-128", WRAP), await attacker.generate("rsa-4096", WRAP)
    for target in (strong, ecdsa):
        await attacker.refused(m.WrapKey(weak, KWP, NIL, target), Status.KEY_USAGE, "stronger wrapping key")
    await attacker.refused(m.WrapKey(pair, ckm.CKM_RSA_PKCS_OAEP, raw(OAEP), strong), Status.KEY_USAGE, "stronger")


async def test_clulow_key_binding_halves_of_a_wrapped_key_are_no_keys(attacker: Attacker) -> None:
    wrapping = await attacker.generate("aes-256", WRAP | UNWRAP)
    key = await attacker.generate("aes-256", flags=EXPORTABLE)
    for by in (KW, KWP):
        wrapped = await attacker.wrap(wrapping, key, by)
        for piece in (wrapped[:24], wrapped[-24:], wrapped[:8] + wrapped[24:], wrapped[8:24] * 2 + wrapped[:8]):
            await attacker.refused(unwrapping(wrapping, piece, "aes-128", by=by), Status.BAD_DATA)
        swapped = wrapped[:8] + wrapped[24:40] + wrapped[8:24]
        await attacker.refused(unwrapping(wrapping, swapped, "aes-256", by=by), Status.BAD_DATA)


async def test_clulow_parallel_key_search_finds_no_short_key(attacker: Attacker) -> None:
    assert min(row.size for row in KEY_TYPES.values() if row.symmetric) == 128
    for name in ("des", "aes-64", "aes-56", "generic-40"):
        await attacker.refused(m.GenerateKey(os.urandom(16), name), Status.BAD_REQUEST)
    for name, length in (("aes-128", 8), ("aes-256", 16), ("hmac-256", 13), ("secret-256", 15)):
        await attacker.refused(m.ImportKey(os.urandom(16), name, os.urandom(length)), Status.BAD_DATA)
    wrapping = await attacker.generate("aes-256", WRAP | UNWRAP)
    wrapped = await attacker.wrap(wrapping, await attacker.generate("aes-256", flags=EXPORTABLE))
    for name in ("aes-128", "aes-192"):
        await attacker.refused(unwrapping(wrapping, wrapped, name), Status.BAD_DATA)


async def test_clulow_reduced_key_space_a_derived_key_is_no_shorter_than_128_bits(attacker: Attacker) -> None:
    base = await attacker.generate("secret-256")
    for row in KEY_TYPES.values():
        body = m.Derive(base, ckm.CKM_HKDF_DERIVE, raw(HKDF), os.urandom(16), row.name)
        if row.symmetric:
            assert row.size >= 128
            await attacker.done(body)
        else:
            await attacker.refused(body, Status.BAD_REQUEST)


@pytest.mark.parametrize("number", [0x0360, 0x0362, 0x0363, 0x0364, 0x0365, 0x1104, 0x1105, 0x0221, 0x0392, 0x1051])
async def test_clulow_related_keys_xor_concatenate_extract_are_not_offered(attacker: Attacker, number: int) -> None:
    base = await attacker.generate("aes-256", Usage.DERIVE)
    body = m.Derive(base, number, NIL, os.urandom(16), "aes-128")
    await attacker.refused(body, Status.UNKNOWN_MECHANISM)


async def test_clulow_trojan_wrapping_public_key(attacker: Attacker) -> None:
    target = await attacker.generate("aes-128", flags=EXPORTABLE)
    own = rsa.generate_private_key(65537, 3072)
    body = m.ImportKey(os.urandom(16), "rsa-3072", spki(own), usage=int(WRAP))
    await attacker.refused(body, Status.BAD_DATA)  # no public key of somebody's own
    known = await attacker.bring("rsa-3072", pkcs8(own), WRAP | UNWRAP)  # but a pair whose private half is known
    await attacker.refused(m.WrapKey(known, ckm.CKM_RSA_PKCS_OAEP, raw(OAEP), target), Status.KEY_USAGE, "made here")
    here = await attacker.generate("aes-256", WRAP | UNWRAP)
    inside = await attacker.wrap(here, await attacker.bring("rsa-3072", pkcs8(own), 0, EXPORTABLE))
    await attacker.refused(unwrapping(here, inside, "rsa-3072", WRAP), Status.BAD_REQUEST, "generate wrapping keys")


async def test_clulow_trojan_wrapping_secret_key(attacker: Attacker) -> None:
    known = os.urandom(32)
    trojan = await attacker.bring("aes-256", known, WRAP | UNWRAP)
    for key_type in ("aes-256", "ec-p256"):
        target = await attacker.generate(key_type, flags=EXPORTABLE)
        await attacker.refused(m.WrapKey(trojan, KWP, NIL, target), Status.KEY_USAGE, "made here")
    partner = os.urandom(32)  # what its importer lets leave again was outside before
    wrapped = await attacker.wrap(trojan, await attacker.bring("aes-256", partner, 0, EXPORTABLE))
    assert aes_key_unwrap_with_padding(known, wrapped) == partner


async def test_a_key_that_was_made_here_is_not_laundered_into_one_that_came_from_outside(attacker: Attacker) -> None:
    here = await attacker.generate("aes-256", WRAP | UNWRAP)
    trojan = await attacker.bring("aes-256", os.urandom(32), WRAP)
    wrapped = await attacker.wrap(here, await attacker.generate("aes-256", flags=EXPORTABLE))
    copy = (await attacker.done(unwrapping(here, wrapped, "aes-256", flags=EXPORTABLE))).key_id
    await attacker.refused(m.WrapKey(trojan, KWP, NIL, copy), Status.KEY_USAGE, "made here")


# ---- Delaune, Kremer, Steel 2008: the same key under two ids


async def test_delaune_kremer_steel_a_wrapping_key_does_not_come_back_under_another_usage(attacker: Attacker) -> None:
    body = m.GenerateKey(os.urandom(16), "aes-256", usage=int(WRAP), policy=Policy(int(EXPORTABLE)))
    await attacker.refused(body, Status.BAD_REQUEST, "cannot be exportable")
    one, two = await attacker.generate("aes-256", WRAP | UNWRAP), await attacker.generate("aes-256", WRAP | UNWRAP)
    for wrapping, target in ((one, two), (one, one)):
        await attacker.refused(m.WrapKey(wrapping, KWP, NIL, target), Status.KEY_USAGE, "not exportable")


async def test_delaune_kremer_steel_two_copies_of_one_key_never_wrap_and_decrypt(attacker: Attacker) -> None:
    here = await attacker.generate("aes-256", WRAP | UNWRAP)
    wrapped = await attacker.wrap(here, await attacker.generate("aes-256", DECRYPT, EXPORTABLE))
    await attacker.done(unwrapping(here, wrapped, "aes-256", ENCRYPT))  # a copy for data is no more than a copy
    for usage in (WRAP, UNWRAP, WRAP | UNWRAP, WRAP | DECRYPT):
        await attacker.refused(unwrapping(here, wrapped, "aes-256", usage), Status.BAD_REQUEST)


async def test_delaune_kremer_steel_two_derivations_of_one_key_never_wrap_and_decrypt(attacker: Attacker) -> None:
    peer = x25519.X25519PrivateKey.generate()
    agreed = raw(p.EcdhParameters(spki(peer), ckm.CKM_SHA256))
    kem = await attacker.generate("ml-kem-768")
    made = m.Encapsulate(kem, ckm.CKM_ML_KEM, NIL, os.urandom(16), "aes-256")
    ciphertext = (await attacker.done(made, m.EncapsulateResult)).ciphertext

    def ways(usage: int) -> list[msgspec.Struct]:
        new = {"key_type": "aes-256", "usage": usage}
        return [
            m.Derive(secret, ckm.CKM_HKDF_DERIVE, raw(HKDF), os.urandom(16), **new),
            m.Derive(curve, ckm.CKM_ECDH1_DERIVE, agreed, os.urandom(16), **new),
            m.Decapsulate(kem, ckm.CKM_ML_KEM, NIL, ciphertext, os.urandom(16), **new),
        ]

    secret, curve = await attacker.generate("secret-256"), await attacker.generate("x25519")
    for way in (*ways(int(DECRYPT)), *ways(int(DECRYPT))):
        await attacker.done(way)
    for way in (*ways(int(WRAP)), *ways(int(UNWRAP))):
        await attacker.refused(way, Status.BAD_REQUEST, "generate wrapping keys")
    body = m.Encapsulate(kem, ckm.CKM_ML_KEM, NIL, os.urandom(16), "aes-256", usage=int(WRAP))
    await attacker.refused(body, Status.BAD_REQUEST, "generate wrapping keys")


async def test_delaune_kremer_steel_what_is_derived_from_a_key_that_stays_stays(attacker: Attacker) -> None:
    base = await attacker.generate("secret-256")
    body = m.Derive(base, ckm.CKM_HKDF_DERIVE, raw(HKDF), os.urandom(16), "aes-256", policy=Policy(int(EXPORTABLE)))
    await attacker.refused(body, Status.KEY_USAGE)
    made = (await attacker.done(msgspec.structs.replace(body, policy=Policy()))).key_id
    await attacker.refused(m.UpdateKey(made, policy=Policy(int(EXPORTABLE))), Status.BAD_REQUEST, "taken away")
    here = await attacker.generate("aes-256", WRAP)
    await attacker.refused(m.WrapKey(here, KWP, NIL, made), Status.KEY_USAGE, "not exportable")


# ---- Tookan 2010: attributes, mechanisms and types


@pytest.mark.parametrize("flag", [flag for flag in PolicyFlag if flag is not PolicyFlag.STRICT], ids=lambda f: f.name)
async def test_tookan_no_permission_is_set_later_or_had_by_a_copy(attacker: Attacker, flag: PolicyFlag) -> None:
    key = await attacker.generate("aes-256", flags=EXPORTABLE & ~flag)
    more = int(flag | (EXPORTABLE & ~flag))
    await attacker.refused(m.UpdateKey(key, policy=Policy(more)), Status.BAD_REQUEST, "taken away")
    here = await attacker.generate("aes-256", WRAP | UNWRAP)
    if flag is EXPORTABLE:
        await attacker.refused(m.WrapKey(here, KWP, NIL, key), Status.KEY_USAGE, "not exportable")
        return
    wrapped = await attacker.wrap(here, key)
    await attacker.refused(unwrapping(here, wrapped, "aes-256", flags=flag), Status.KEY_USAGE, "policy flags")
    loose = await attacker.generate("aes-256", WRAP | UNWRAP, flag)
    await attacker.refused(m.WrapKey(loose, KWP, NIL, key), Status.KEY_USAGE, "permit")


async def test_tookan_usages_are_not_set_later(attacker: Attacker) -> None:
    key = await attacker.generate("aes-256", ENCRYPT)
    for usage in (DECRYPT, ENCRYPT | DECRYPT, WRAP, UNWRAP):
        await attacker.refused(m.UpdateKey(key, usage=int(usage)), Status.BAD_REQUEST, "only be taken away")


@pytest.mark.parametrize(
    "number",
    [row.number for row in MECHANISMS.values() if row.data is not Data.KEY and not row.usages & WRAP] + [0x1081],
)
async def test_tookan_only_mechanisms_for_keys_wrap_and_unwrap(attacker: Attacker, number: int) -> None:
    here = await attacker.generate("aes-256", WRAP | UNWRAP)
    target = await attacker.generate("aes-256", flags=EXPORTABLE)
    await attacker.refused(m.WrapKey(here, number, NIL, target), Status.UNKNOWN_MECHANISM)
    await attacker.refused(unwrapping(here, bytes(32), "aes-128", by=number), Status.UNKNOWN_MECHANISM)


async def test_tookan_a_key_wrapped_one_way_does_not_unwrap_another_way(attacker: Attacker) -> None:
    here = await attacker.generate("aes-256", WRAP | UNWRAP)
    key = await attacker.generate("aes-256", flags=EXPORTABLE)
    for one, other in ((KW, KWP), (KWP, KW)):
        wrapped = await attacker.wrap(here, key, one)
        await attacker.refused(unwrapping(here, wrapped, "aes-256", by=other), Status.BAD_DATA)


@pytest.mark.parametrize("confused", ["hmac-256", "hmac-512", "secret-256", "aes-256", "ec-p384", "rsa-2048"])
async def test_tookan_a_private_key_does_not_come_back_as_another_type(attacker: Attacker, confused: str) -> None:
    here = await attacker.generate("aes-256", WRAP | UNWRAP)
    wrapped = await attacker.wrap(here, await attacker.generate("ec-p256", flags=EXPORTABLE))
    await attacker.refused(unwrapping(here, wrapped, confused), Status.BAD_DATA)
    await attacker.done(unwrapping(here, wrapped, "ec-p256"))


async def test_tookan_unwrapping_says_nothing_of_why_it_fails(attacker: Attacker) -> None:
    kek = os.urandom(32)
    transport = await attacker.bring("aes-256", kek, UNWRAP)
    good = aes_key_wrap_with_padding(kek, os.urandom(32))
    tries = [os.urandom(40), good[:-1], good[:-8], bytes(40), good[::-1], aes_key_wrap(kek, os.urandom(32))]
    tries += [aes_key_wrap_with_padding(kek, os.urandom(length)) for length in (1, 16, 31, 33)]
    answers = {await attacker.refused(unwrapping(transport, one, "aes-256"), Status.BAD_DATA) for one in tries}
    assert len(answers) == 1


# ---- ids, labels, versions


async def test_an_id_of_another_key_is_not_taken_over(attacker: Attacker) -> None:
    key = await attacker.generate("aes-256")
    here = await attacker.generate("aes-256", WRAP | UNWRAP)
    wrapped = await attacker.wrap(here, await attacker.generate("aes-256", flags=EXPORTABLE))
    secret = await attacker.generate("secret-256")
    for body in (
        m.ImportKey(key, "aes-256", bytes(32)),
        m.GenerateKey(key, "aes-256", "other"),
        msgspec.structs.replace(unwrapping(here, wrapped, "aes-256"), key_id=key),
        m.Derive(secret, ckm.CKM_HKDF_DERIVE, raw(HKDF), key, "aes-256"),
        m.RotateKey(secret, key),
        m.RotateKey(key, key),
    ):
        await attacker.refused(body, Status.KEY_EXISTS)


async def test_the_id_of_a_destroyed_key_is_used_up(attacker: Attacker) -> None:
    material, key = os.urandom(32), os.urandom(16)
    body = m.ImportKey(key, "aes-256", material)
    await attacker.done(body)
    await attacker.done(m.DestroyKey(key), m.Empty)
    await attacker.refused(body, Status.KEY_NOT_FOUND)
    await attacker.refused(m.ImportKey(key, "aes-256", bytes(32)), Status.KEY_EXISTS)
    await attacker.refused(m.GenerateKey(key, "aes-256"), Status.KEY_EXISTS)
    await attacker.refused(m.UpdateKey(key, enabled=True), Status.KEY_NOT_FOUND)
    await attacker.refused(m.RotateKey(key, os.urandom(16)), Status.KEY_NOT_FOUND)


async def test_a_key_with_another_keys_label_is_another_key(attacker: Attacker) -> None:
    mine = (await attacker.done(m.ImportKey(os.urandom(16), "aes-256", bytes(32), "payments"))).key_id
    theirs = (await attacker.done(m.GenerateKey(os.urandom(16), "aes-256", "payments"))).key_id
    sealed = await attacker.done(m.Encrypt(theirs, GCM, NIL, b"plain"), m.EncryptResult)
    opening = m.Decrypt(mine, GCM, raw(p.GcmParameters(sealed.iv)), sealed.ciphertext)
    await attacker.refused(opening, Status.BAD_DATA)


async def test_rotating_a_key_gains_no_usage_and_no_permission(attacker: Attacker) -> None:
    flags = int(PolicyFlag.STRICT)
    old = (await attacker.done(m.GenerateKey(os.urandom(16), "aes-256", usage=int(ENCRYPT | DECRYPT)))).key_id
    await attacker.done(m.UpdateKey(old, usage=int(ENCRYPT), policy=Policy(flags, [GCM])))
    new = await attacker.done(m.RotateKey(old, os.urandom(16)))
    assert (new.usage, new.policy) == (int(ENCRYPT), Policy(flags, [GCM]))
    after = await attacker.done(m.DescribeKey(old))
    assert (after.usage, after.policy) == (0, Policy(flags, [GCM]))
    await attacker.refused(m.UpdateKey(old, usage=int(ENCRYPT)), Status.BAD_REQUEST, "only be taken away")
    trojan = await attacker.bring("aes-256", bytes(32), WRAP | UNWRAP)
    next_one = await attacker.done(m.RotateKey(trojan, os.urandom(16)))
    target = await attacker.generate("aes-256", flags=EXPORTABLE)
    wrapped = await attacker.wrap(next_one.key_id, target)  # its material was made here: nobody knows it
    await attacker.refused(unwrapping(trojan, wrapped, "aes-256"), Status.BAD_DATA)


# ---- nonces, raw operations, oracles


async def test_gcm_a_nonce_is_not_used_twice(attacker: Attacker) -> None:
    key = await attacker.generate("aes-256", flags=EXPORTABLE)
    first = await attacker.done(m.Encrypt(key, GCM, NIL, b"one"), m.EncryptResult)
    for mechanism, again in (
        (GCM, p.GcmParameters(first.iv)),
        (ckm.CKM_AES_CTR, p.CtrParameters(128, first.iv + bytes(4))),
        (ckm.CKM_AES_CBC, p.IvParameters(bytes(16))),
    ):
        body = m.Encrypt(key, mechanism, raw(again), b"one block or two"[:16])
        await attacker.refused(body, Status.KEY_USAGE, "caller-iv")
    here = await attacker.generate("aes-256", WRAP | UNWRAP)
    copy = unwrapping(here, await attacker.wrap(here, key), "aes-256", flags=PolicyFlag.CALLER_IV)
    await attacker.refused(copy, Status.KEY_USAGE, "policy flags")
    source = await attacker.generate("secret-256")  # whoever derives twice has two copies of one key
    policy = Policy(int(PolicyFlag.CALLER_IV))
    copy = m.Derive(source, ckm.CKM_HKDF_DERIVE, raw(HKDF), os.urandom(16), "aes-256", policy=policy)
    await attacker.refused(copy, Status.KEY_USAGE, "policy flags")


async def test_raw_rsa_signs_no_structured_data(attacker: Attacker) -> None:
    plain, flagged = await attacker.generate("rsa-2048"), await attacker.generate("rsa-2048", 0, PolicyFlag.RAW_RSA)
    padded = b"\0\1" + b"\xff" * 202 + b"\0" + DIGEST_INFO["sha256"] + bytes(32)
    for key in (plain, flagged):  # nobody has it here, whatever the key permits
        await attacker.refused(m.Sign(key, ckm.CKM_RSA_X_509, NIL, padded), Status.MECHANISM_NOT_HERE)


DIGEST_INFO = {
    "md5": bytes.fromhex("3020300c06082a864886f70d020505000410"),
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
}


async def test_rsa_pkcs1_signs_no_digest_of_a_weak_or_unknown_hash(attacker: Attacker) -> None:
    key = await attacker.generate("rsa-2048")
    good = DIGEST_INFO["sha256"] + hashlib.sha256(b"x").digest()
    await attacker.done(m.Sign(key, ckm.CKM_RSA_PKCS, NIL, good), m.SignResult)
    weak = [DIGEST_INFO["md5"] + bytes(16), DIGEST_INFO["sha1"] + bytes(20), bytes(36), b"any text", b""]
    for data in (*weak, good[:-1], good + b"\0", good[1:], DIGEST_INFO["sha256"] + bytes(31)):
        await attacker.refused(m.Sign(key, ckm.CKM_RSA_PKCS, NIL, data), Status.BAD_DATA, "DigestInfo")
    await attacker.refused(m.Sign(key, ckm.CKM_SHA1_RSA_PKCS, NIL, b"text"), Status.KEY_USAGE, "legacy-test")
    parameters = raw(p.PssParameters(ckm.CKM_SHA_1, p.CKG_MGF1_SHA1, 20))
    await attacker.refused(m.Sign(key, ckm.CKM_RSA_PKCS_PSS, parameters, bytes(20)), Status.BAD_REQUEST)


async def rsa_numbers(attacker: Attacker, key: bytes) -> rsa.RSAPublicNumbers:
    public = load_der_public_key((await attacker.done(m.DescribeKey(key))).public_key)
    assert isinstance(public, rsa.RSAPublicKey)
    return public.public_numbers()


def textbook(numbers: rsa.RSAPublicNumbers, block: bytes) -> bytes:
    return pow(int.from_bytes(block, "big"), numbers.e, numbers.n).to_bytes(256, "big")


async def test_bleichenbacher_wrong_padding_is_no_fault_and_gives_the_same_nonsense_each_time(
    attacker: Attacker,
) -> None:
    plain = await attacker.generate("rsa-2048", ENCRYPT | DECRYPT)
    body = m.Decrypt(plain, ckm.CKM_RSA_PKCS, NIL, bytes(256))
    await attacker.refused(body, Status.KEY_USAGE, "pkcs1-decrypt")
    key = await attacker.generate("rsa-2048", ENCRYPT | DECRYPT, PolicyFlag.PKCS1_DECRYPT)
    numbers = await rsa_numbers(attacker, key)
    filled = b"\x55" * 220
    for block in (
        b"\0\1" + filled + b"\0" + bytes(33),  # another block type
        b"\1\2" + filled + b"\0" + bytes(33),  # does not begin with zero
        b"\0\2" + b"\x55" * 254,  # no end of the padding
        b"\0\2" + b"\x55" * 7 + b"\0" + b"\x55" * 246,  # too short a padding
        bytes(256),
    ):
        body = m.Decrypt(key, ckm.CKM_RSA_PKCS, NIL, textbook(numbers, block))
        first, again = [bytes((await attacker.ask(body)).body) for _ in range(2)]
        assert first == again
        assert block[-33:] not in decode_body(m.DecryptResult, first).plaintext
    good = textbook(numbers, b"\0\2" + filled + b"\0" + b"m" * 33)
    opened = await attacker.done(m.Decrypt(key, ckm.CKM_RSA_PKCS, NIL, good), m.DecryptResult)
    assert opened.plaintext == b"m" * 33


async def test_manger_oaep_has_one_answer_for_every_fault(attacker: Attacker) -> None:
    key = await attacker.generate("rsa-2048", ENCRYPT | DECRYPT)
    numbers = await rsa_numbers(attacker, key)
    labelled = raw(p.OaepParameters(ckm.CKM_SHA256, p.CKG_MGF1_SHA256, b"another label"))
    good = (await attacker.done(m.Encrypt(key, ckm.CKM_RSA_PKCS_OAEP, labelled, b"m"), m.EncryptResult)).ciphertext
    tries = [good, good[:-1], b"", b"\xff" * 256]
    tries += [textbook(numbers, first + os.urandom(255)) for first in (b"\0", b"\1", b"\x10")]
    bodies = [m.Decrypt(key, ckm.CKM_RSA_PKCS_OAEP, raw(OAEP), one) for one in tries]
    assert len({await attacker.refused(body, Status.BAD_DATA) for body in bodies}) == 1


async def test_vaudenay_cbc_padding_is_decrypted_with_a_flag_only_in_one_way_and_at_a_rate(attacker: Attacker) -> None:
    plain = await attacker.generate("aes-256")
    opening = raw(p.IvParameters(bytes(16)))
    body = m.Decrypt(plain, ckm.CKM_AES_CBC_PAD, opening, bytes(32))
    await attacker.refused(body, Status.KEY_USAGE, "cbc-padding")
    key = await attacker.generate("aes-256", flags=PolicyFlag.CBC_PADDING)
    answers = set()
    for data in (b"", bytes(15), os.urandom(17)):
        answers.add(await attacker.refused(m.Decrypt(key, ckm.CKM_AES_CBC_PAD, opening, data), Status.BAD_DATA))
    statuses = []
    for _ in range(300):  # one byte of one block takes 128 of these
        frame = await attacker.ask(m.Decrypt(key, ckm.CKM_AES_CBC_PAD, opening, os.urandom(32)))
        statuses.append(frame.status)
        if frame.status == Status.BAD_DATA:
            answers.add(bytes(frame.body))
    assert len(answers) == 1
    assert statuses.count(Status.OVERLOADED) > 100


@pytest.mark.parametrize("key_type", ["x25519", "ec-p256"])
async def test_an_agreement_with_a_point_of_small_order_or_off_the_curve_makes_no_key(
    attacker: Attacker, key_type: str
) -> None:
    key = await attacker.generate(key_type, Usage.DERIVE)
    off_curve = bytearray(spki(ec.generate_private_key(ec.SECP256R1())))
    off_curve[-1] ^= 1
    zeros = spki(x25519.X25519PrivateKey.generate())[:-32] + bytes(32)
    other = spki(ec.generate_private_key(ec.SECP256K1()))
    for peer in (bytes(off_curve), zeros, other, b""):
        parameters = raw(p.EcdhParameters(peer, ckm.CKM_SHA256))
        body = m.Derive(key, ckm.CKM_ECDH1_DERIVE, parameters, os.urandom(16), "aes-256")
        await attacker.refused(body, Status.BAD_DATA)


async def test_what_an_attacker_sees_of_an_exportable_key_opens_nothing_without_the_wrapping_key(
    attacker: Attacker,
) -> None:
    here, other = await attacker.generate("aes-256", WRAP | UNWRAP), await attacker.generate("aes-256", UNWRAP)
    target = await attacker.generate("aes-256", flags=EXPORTABLE)
    sealed = await attacker.done(m.Encrypt(target, GCM, NIL, b"plain"), m.EncryptResult)
    wrapped = await attacker.wrap(here, target)
    await attacker.refused(unwrapping(other, wrapped, "aes-256"), Status.BAD_DATA)
    copy = (await attacker.done(unwrapping(here, wrapped, "aes-256"))).key_id
    opening = m.Decrypt(copy, GCM, raw(p.GcmParameters(sealed.iv)), sealed.ciphertext)
    assert (await attacker.done(opening, m.DecryptResult)).plaintext == b"plain"
    for guess in (wrapped[8:40], wrapped[:32], bytes(32)):
        with pytest.raises(InvalidTag):
            AESGCM(guess).decrypt(sealed.iv, sealed.ciphertext, None)
