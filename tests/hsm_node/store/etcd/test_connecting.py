"""The certificate that the store's members are shown."""

from datetime import timedelta
from pathlib import Path

import pytest
from certificates import Authority

from hsm_cluster.address import Address
from hsm_daemon.errors import StartError
from hsm_daemon.tls import TlsFiles
from hsm_node.store.etcd.connecting import Connecting

ADDRESSES = [Address("192.0.2.1", 2379), Address("192.0.2.2", 2379)]


def test_links_are_made_of_what_the_files_hold_at_that_time(tmp_path: Path) -> None:
    old = Authority(tmp_path, timedelta(minutes=-1)).issue("spiffe://dev/node/node-1", "node-1")
    connecting = Connecting(ADDRESSES, TlsFiles(old.ca, old.certificate, old.key))
    assert not connecting.expired()
    links = connecting.links()
    assert [link.address for link in links] == ADDRESSES
    assert connecting.expired().endswith("renew it, then reload")
    Authority(tmp_path).issue("spiffe://dev/node/node-1", "node-1")
    links += connecting.links()
    assert not connecting.expired()
    for link in links:
        link.close()


def test_files_that_are_gone_leave_what_was_read_in_use(tmp_path: Path) -> None:
    made = Authority(tmp_path).issue("spiffe://dev/node/node-1", "node-1")
    connecting = Connecting(ADDRESSES, TlsFiles(made.ca, made.certificate, made.key))
    for link in connecting.links():
        link.close()
    made.key.unlink()
    with pytest.raises(StartError, match="the store's key .* is missing"):
        connecting.links()
    assert not connecting.expired()


def test_without_tls_nothing_expires() -> None:
    connecting = Connecting(ADDRESSES, None)
    for link in connecting.links():
        link.close()
    assert not connecting.expired()
