"""The blocking client: threads and forks."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from hsm_client import sync
from hsm_client.errors import BadSignature, Cancelled


def test_threads_share_one_client(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm, ThreadPoolExecutor(8) as threads:
        assert {len(data) for data in threads.map(hsm.random, [16] * 200)} == {16}


def test_a_wrong_signature_raises(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm:
        key = hsm.generate_key("ed25519")
        signature = key.sign(b"x", "eddsa")
        key.verify(b"x", signature, "eddsa")
        with pytest.raises(BadSignature):
            key.verify(b"y", signature, "eddsa")


def test_a_closed_client_says_so(fake_cluster, configured):
    hsm = sync.connect(configured(fake_cluster.proxy)).open()
    hsm.close()
    with pytest.raises(Cancelled, match="closed"):
        hsm.info()


def test_a_forked_child_goes_on_with_connections_of_its_own(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm:
        hsm.random(8)
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if len(hsm.random(8)) == 8 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(hsm.random(8)) == 8
