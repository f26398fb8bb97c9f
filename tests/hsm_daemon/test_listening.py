"""Listeners on real addresses."""

import socket

import pytest

from hsm_daemon.errors import StartError
from hsm_daemon.listening import address_of, bind, joined, take


def test_a_listener_takes_connections_and_does_not_block() -> None:
    with bind("127.0.0.1", 0, 5) as listener:
        host, port = address_of(listener)
        assert host == "127.0.0.1"
        assert not listener.get_inheritable()
        with pytest.raises(BlockingIOError):
            listener.accept()
        with socket.create_connection((host, port), 5):
            pass


def test_ipv6_is_served_and_the_unspecified_address_takes_ipv4_too() -> None:
    with bind("::", 0, 5) as listener:
        port = address_of(listener)[1]
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port), 5):
                pass
    with bind("::1", 0, 5) as listener:
        assert joined(*address_of(listener)).startswith("[::1]:")


def test_an_address_that_cannot_be_used_is_named_with_what_to_do() -> None:
    with bind("127.0.0.1", 0, 5) as listener:
        port = address_of(listener)[1]
        with pytest.raises(StartError, match=rf"^cannot listen on 127.0.0.1:{port}: .* in use; stop the program"):
            bind("127.0.0.1", port, 5)
    with pytest.raises(StartError, match=r"192.0.2.1:2410: .*; this host has no such address"):
        bind("192.0.2.1", 2410, 5)
    with pytest.raises(StartError, match=r"no such host.invalid:1: .*; correct the address"):
        bind("no such host.invalid", 1, 5)


def test_an_inherited_listener_wins_and_a_difference_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with bind("127.0.0.1", 0, 5) as listener:
        host, port = address_of(listener)
        assert take({"client": listener}, "client", host, port, 5) is listener
        assert take({"client": listener}, "client", host, 0, 5) is listener
        assert caplog.text == ""
        assert take({"client": listener}, "client", host, port - 1, 5) is listener
        assert "inherited address" in caplog.text
        with take({"client": listener}, "admin", host, 0, 5) as other:
            assert other is not listener
