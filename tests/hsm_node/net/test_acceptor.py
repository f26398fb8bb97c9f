import pytest

from hsm_daemon.errors import StartError
from hsm_node.net.acceptor import listen


def test_an_address_in_use_is_one_line_that_names_it() -> None:
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    with pytest.raises(StartError, match=f"127.0.0.1:{port}: Address already in use"):
        listen("127.0.0.1", port)
    first.close()


def test_an_address_of_another_host_is_one_line() -> None:
    with pytest.raises(StartError, match="203.0.113.1"):
        listen("203.0.113.1", 0)
