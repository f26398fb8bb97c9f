"""The channels' settings, and certificates that cannot be read."""

from pathlib import Path

import pytest

from hsm_cluster.address import Address
from hsm_daemon.errors import StartError
from hsm_daemon.tls import TlsFiles
from hsm_node.store.etcd.channels import _OPTIONS, Link, credentials_of

LEAST_KEEPALIVE_MS = 5_000


def test_a_member_that_hangs_is_noticed_and_does_not_end_the_connection_for_our_pings() -> None:
    options = dict(_OPTIONS)
    assert options["grpc.http2.ping_timeout_ms"] <= 3_000
    assert options["grpc.keepalive_time_ms"] > LEAST_KEEPALIVE_MS


def test_a_link_connects_to_nobody_before_its_first_call() -> None:
    link = Link(Address("192.0.2.1", 2379), None)
    link.close()


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    assert credentials_of(None) is None
    missing = TlsFiles(tmp_path / "ca.pem", tmp_path / "c.pem", tmp_path / "k.pem")
    with pytest.raises(StartError, match=r"the store's CA file .*ca\.pem is missing; .*correct `tls`"):
        credentials_of(missing)
