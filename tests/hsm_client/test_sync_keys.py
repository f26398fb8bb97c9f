"""The blocking client's keys."""

import pytest

from hsm_client import sync
from hsm_client.errors import BadSignature, KeyNotFound


def test_a_wrong_signature_raises(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm:
        key = hsm.generate_key("ed25519")
        signature = key.sign(b"x", "eddsa")
        key.verify(b"x", signature, "eddsa")
        with pytest.raises(BadSignature):
            key.verify(b"y", signature, "eddsa")


def test_a_key_that_was_renamed_and_destroyed_is_found_no_more(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm:
        key = hsm.generate_key("aes-256", label="old")
        key.update(label="new")
        assert (key.label, hsm.key("new").id) == ("new", key.id)
        assert key.decrypt(key.encrypt(b"x", aad=b"a"), aad=b"a") == b"x"
        key.destroy()
        with pytest.raises(KeyNotFound):
            key.describe()
