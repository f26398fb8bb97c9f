"""Who listens on a port of this host."""

import os
import socket

from hsmctl.doctor.listening import Listener, listeners, may_bind


def test_the_process_that_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        [found] = listeners(server.getsockname()[1])
    assert found.pid == os.getpid()
    assert "python" in found.command or "pytest" in found.command
    assert str(found).startswith(f"process {os.getpid()} (")


def test_nobody_listens_on_a_port_that_is_only_bound() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert listeners(bound.getsockname()[1]) == []


def test_a_process_that_is_not_ours_to_see_has_no_name() -> None:
    assert str(Listener()) == "a process of another user"


def test_an_address_that_is_not_of_this_host_cannot_be_listened_on() -> None:
    assert may_bind("127.0.0.1", 0) is None
    assert may_bind("192.0.2.1", 0) is not None
