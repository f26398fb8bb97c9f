"""Keys of the asyncio client."""

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_cluster import FakeProxy

from hsm_client import connect
from hsm_client.errors import BadData, BadRequest, BadSignature, KeyDisabled, KeyType, KeyUsage, UnknownMechanism
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

SIGNERS = [
    ("ec-p521", "ecdsa-sha512"),
    ("ec-secp256k1", "ecdsa-sha256"),
    ("rsa-2048", "rsa-pss-sha256"),
    ("rsa-2048", "rsa-pkcs1-sha384"),
    ("ed25519", "eddsa"),
    ("ed448", "eddsa"),
    ("ml-dsa-65", "ml-dsa"),
    ("aes-256", "aes-cmac"),
    ("hmac-384", "hmac-sha384"),
]
AES_CIPHERS = ["aes-gcm", "aes-cbc", "aes-cbc-pad", "aes-ctr"]


@pytest.mark.parametrize(("key_type", "mechanism"), SIGNERS)
@pytest.mark.parametrize("size", [3, 20_000])
async def test_signatures_over_short_and_long_data_verify(proxy: FakeProxy, configured, key_type, mechanism, size):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key(key_type)
        signature = await key.sign(bytes(size), mechanism)
        await key.verify(bytes(size), signature, mechanism)
        with pytest.raises(BadSignature):
            await key.verify(bytes(size + 1), signature, mechanism)


async def test_a_secret_key_has_no_public_part_and_cannot_sign_with_ecdsa(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("aes-256")
        with pytest.raises(KeyType):
            await key.public_key()
        with pytest.raises(KeyType):
            await key.sign(b"x", "ecdsa-sha256")


@pytest.mark.parametrize("mechanism", AES_CIPHERS)
async def test_what_was_encrypted_is_decrypted(proxy, configured, mechanism):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("aes-256")
        plain = bytes(range(32))
        made = await key.encrypt(plain, mechanism)
        assert len(made.iv) == (12 if mechanism == "aes-gcm" else 16)
        assert await key.decrypt(made, mechanism) == plain
        assert await key.decrypt(made.ciphertext, mechanism, iv=made.iv) == plain


async def test_a_context_sets_ml_dsa_signatures_apart(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("ml-dsa-44")
        signature = await key.sign(b"x", "ml-dsa", context=b"here")
        public = await key.public_key()
        assert isinstance(public, mldsa.MLDSA44PublicKey)
        public.verify(signature, b"x", b"here")
        await key.verify(b"x", signature, "ml-dsa", context=b"here")
        for wrong in (b"", b"there"):
            with pytest.raises(BadSignature):
                await key.verify(b"x", signature, "ml-dsa", context=wrong)


async def test_a_context_of_eddsa_is_the_nodes_to_refuse_and_others_take_none(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        ed, mac = await hsm.generate_key("ed25519"), await hsm.generate_key("hmac-256")
        with pytest.raises(BadRequest):
            await ed.sign(b"x", "eddsa", context=b"here")
        with pytest.raises(UnknownMechanism, match="no context"):
            await mac.sign(b"x", "hmac-sha256", context=b"here")


# ---- versions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key_type", "mechanism"), SIGNERS)
async def test_what_an_earlier_version_signed_verifies_with_the_newest(proxy, configured, key_type, mechanism):
    async with connect(configured(proxy)) as hsm:
        first = await hsm.generate_key(key_type)
        signature = await first.sign(b"x", mechanism)
        third = await (await first.rotate()).rotate()
        await third.verify(b"x", signature, mechanism)
        await third.verify(b"x", await third.sign(b"x", mechanism), mechanism)
        with pytest.raises(BadSignature):
            await third.verify(b"y", signature, mechanism)


async def test_earlier_versions_are_read_once(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        first = await hsm.generate_key("aes-256")
        made = await first.encrypt(b"x", aad=b"a")
        newest = await first.rotate()
        for _ in range(3):
            assert await newest.decrypt(made, aad=b"a") == b"x"
        with pytest.raises(BadData):
            await newest.decrypt(made, aad=b"b")
    assert [frame.opcode for frame in proxy.requests].count(Opcode.DESCRIBE_KEY) == 1


async def test_an_earlier_version_signs_and_encrypts_no_more(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("aes-256")
        await key.rotate()
        with pytest.raises(KeyUsage):
            await key.encrypt(b"x")


@pytest.mark.parametrize("mechanism", ["aes-ctr", "aes-cbc", "aes-cbc-pad"])
async def test_a_cipher_that_does_not_notice_a_wrong_key_is_tried_with_the_named_version_only(
    proxy, configured, mechanism
):
    async with connect(configured(proxy)) as hsm:
        first = await hsm.generate_key("aes-256")
        made = await first.encrypt(bytes(32), mechanism)
        newest = await first.rotate()
        before = len(proxy.requests)
        try:
            assert await newest.decrypt(made, mechanism) != bytes(32)
        except BadData:
            assert mechanism == "aes-cbc-pad"
        assert len(proxy.requests) == before + 1
        assert await first.decrypt(made, mechanism) == bytes(32)


async def test_rotating_with_the_same_id_twice_makes_one_key(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("ec-p256", label="tls")
        made = [await key.rotate(key_id=b"n" * 16) for _ in range(2)]
        assert [each.id for each in made] == [(b"n" * 16).hex()] * 2
        assert (made[0].label, made[0].info.replaces) == ("tls", key.info.key_id)
        assert (await key.describe()).replaced_by == b"n" * 16


# ---- keys out of keys -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "ec-p521", "ec-secp256k1", "x25519"])
async def test_two_keys_agree_on_the_same_one(proxy, configured, key_type):
    async with connect(configured(proxy)) as hsm:
        one, two = await hsm.generate_key(key_type), await hsm.generate_key(key_type)
        names = {"kdf_hash": "sha384", "info": b"i", "salt": b"s"}
        mine = await one.ecdh(await two.public_key(), label="mine", **names)
        theirs = await two.ecdh(one.info.public_key, **names)
        assert (mine.label, mine.type, mine.info.origin) == ("mine", "aes-256", "derived")
        assert await theirs.decrypt(await mine.encrypt(b"x")) == b"x"
        other = await two.ecdh(one.info.public_key, kdf_hash="sha384", info=b"other", salt=b"s")
        with pytest.raises(BadData):
            await other.decrypt(await mine.encrypt(b"x"))


async def test_an_agreement_with_somebody_outside_is_hkdf_of_the_shared_secret(proxy, configured):
    outside = x25519.X25519PrivateKey.generate()
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("x25519")
        made = await key.ecdh(outside.public_key(), "hmac-256", info=b"i")
        public = await key.public_key()
    assert isinstance(public, x25519.X25519PublicKey)
    expected = HKDF(hashes.SHA256(), 32, None, b"i").derive(outside.exchange(public))
    assert proxy.keystore.secrets[made.info.key_id] == expected


async def test_a_peer_on_another_curve_is_refused(proxy, configured):
    peer = ec.generate_private_key(ec.SECP384R1()).public_key()
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("ec-p256")
        with pytest.raises(BadData):
            await key.ecdh(peer.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


async def test_hkdf_is_that_of_rfc_5869(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.import_key("secret-256", bytes(range(32)))
        made = await key.hkdf("aes-128", hash="sha512", salt=b"salt", info=b"info", label="derived")
    assert (made.type, made.label) == ("aes-128", "derived")
    expected = HKDF(hashes.SHA512(), 16, b"salt", b"info").derive(bytes(range(32)))
    assert proxy.keystore.secrets[made.info.key_id] == expected


async def test_a_derivation_sent_twice_under_one_id_makes_one_key(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("secret-256")
        made = [await key.hkdf("aes-256", key_id=b"d" * 16) for _ in range(2)]
        assert made[0].id == made[1].id == (b"d" * 16).hex()


@pytest.mark.parametrize("key_type", ["ml-kem-768", "ml-kem-1024"])
async def test_what_was_encapsulated_is_decapsulated_to_the_same_key(proxy, configured, key_type):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key(key_type)
        ciphertext, mine = await key.encapsulate(label="mine")
        theirs = await key.decapsulate(ciphertext, label="theirs")
        assert (mine.type, mine.label, theirs.label) == ("secret-256", "mine", "theirs")
        one, two = await mine.hkdf("aes-256"), await theirs.hkdf("aes-256")
        assert await two.decrypt(await one.encrypt(b"x")) == b"x"
        with pytest.raises(BadData):
            await key.decapsulate(ciphertext[1:])


# ---- the key itself ---------------------------------------------------------------------------------------------


async def test_a_scheduled_destruction_is_revoked_by_enabling_the_key(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("aes-256")
        await key.destroy(wait_s=600)
        assert (await key.describe()).destroy_at
        with pytest.raises(KeyDisabled):
            await key.encrypt(b"x")
        assert (await key.enable()).destroy_at == 0
        await key.encrypt(b"x")


async def test_a_type_that_cryptography_does_not_know_is_said_to_be_one(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("ed25519")
        der = key.info.public_key.replace(b"\x2b\x65\x70", b"\x2b\x65\x7f")  # an algorithm that nobody has
        proxy.script.append((Status.OK, msgspec.structs.replace(key.info, public_key=der)))
        await key.describe()
        with pytest.raises(KeyType, match="info.public_key"):
            await key.public_key()
