"""The blocking client's keys."""

import pytest

from hsm_client import policy, sync
from hsm_client.errors import BadData, BadSignature, KeyDisabled, KeyNotFound, KeyUsage
from hsm_wire.opcodes import Opcode
from hsm_wire.usages import Usage

WRAPPING = Usage.WRAP | Usage.UNWRAP


@pytest.fixture
def hsm(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as connected:
        yield connected


def test_a_wrong_signature_raises(hsm):
    key = hsm.generate_key("ed25519")
    signature = key.sign(b"x", "eddsa")
    key.verify(b"x", signature, "eddsa")
    with pytest.raises(BadSignature):
        key.verify(b"y", signature, "eddsa")


def test_a_context_goes_with_the_signature(hsm):
    key = hsm.generate_key("ml-dsa-44")
    signature = key.sign(b"x", "ml-dsa", context=b"here")
    key.verify(b"x", signature, "ml-dsa", context=b"here")
    with pytest.raises(BadSignature):
        key.verify(b"x", signature, "ml-dsa")


def test_a_key_that_was_renamed_and_destroyed_is_found_no_more(hsm):
    key = hsm.generate_key("aes-256", label="old")
    key.update(label="new")
    assert (key.label, hsm.key("new").id) == ("new", key.id)
    assert key.decrypt(key.encrypt(b"x", aad=b"a"), aad=b"a") == b"x"
    key.destroy()
    with pytest.raises(KeyNotFound):
        key.describe()


def test_a_rotated_keys_earlier_version_still_opens_and_is_read_once(hsm, fake_cluster):
    key = hsm.generate_key("aes-256", label="store")
    made = key.encrypt(b"x")
    newest = key.rotate()
    assert hsm.key("store").id == newest.id != key.id
    for _ in range(3):
        assert newest.decrypt(made) == b"x"
    asked = [frame.opcode for frame in fake_cluster.proxy.requests]
    assert asked.count(Opcode.DESCRIBE_KEY) == 1
    with pytest.raises(KeyUsage):
        key.encrypt(b"x")


def test_a_key_is_wrapped_and_unwrapped_also_by_an_earlier_version(hsm):
    wrapper = hsm.generate_key("aes-256", usage=WRAPPING)
    key = hsm.generate_key("ed25519", policy=policy(exportable=True))
    wrapped = wrapper.wrap(key)
    for unwrapping in (wrapper, wrapper.rotate()):
        again = hsm.unwrap_key(wrapped, unwrapping, "aes-kwp", "ed25519", label="again")
        assert again.sign(b"x", "eddsa") == key.sign(b"x", "eddsa")
    with pytest.raises(BadData):
        hsm.unwrap_key(bytes(40), wrapper, "aes-kwp", "ed25519")


def test_keys_come_out_of_keys(hsm):
    one, two = hsm.generate_key("x25519"), hsm.generate_key("x25519")
    mine, theirs = one.ecdh(two.public_key(), info=b"i"), two.ecdh(one.public_key(), info=b"i")
    assert theirs.decrypt(mine.encrypt(b"x")) == b"x"
    kem = hsm.generate_key("ml-kem-768")
    made = kem.encapsulate(label="shared")
    again = kem.decapsulate(made.ciphertext)
    assert (made.key.label, made.key.type) == ("shared", "secret-256")
    assert again.hkdf("aes-256", salt=b"s").decrypt(made.key.hkdf("aes-256", salt=b"s").encrypt(b"x")) == b"x"
    with pytest.raises(BadData):
        kem.decapsulate(b"short")


def test_a_scheduled_destruction_is_revoked_by_enabling_the_key(hsm):
    key = hsm.generate_key("aes-256")
    key.destroy(wait_s=600)
    with pytest.raises(KeyDisabled):
        key.encrypt(b"x")
    assert key.describe().destroy_at
    assert key.enable().destroy_at == 0
