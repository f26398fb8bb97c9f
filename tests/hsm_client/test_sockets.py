"""Sockets that are known from their beginning."""

import asyncio
import gc
import socket

import pytest

from hsm_client.config import ProxyAddress
from hsm_client.sockets import Sockets


async def test_a_socket_is_known_while_it_connects_and_no_longer_when_that_was_given_up():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = ProxyAddress("127.0.0.1", full.getsockname()[1])
        sockets = Sockets()
        connecting = [asyncio.ensure_future(sockets.connect(address)) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert len(sockets.file_numbers()) == 4
        assert not all(task.done() for task in connecting)
        for task in connecting:
            task.cancel()
        for outcome in await asyncio.gather(*connecting, return_exceptions=True):
            if isinstance(outcome, socket.socket):
                outcome.close()
        assert sockets.file_numbers() == []


async def test_where_one_address_of_a_host_refuses_the_next_one_is_tried(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        async def two(_address):
            row = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(*row, ("127.0.0.1", 1)), (*row, ("127.0.0.1", port))]

        monkeypatch.setattr("hsm_client.sockets._look_up", two)
        connected = await Sockets().connect(ProxyAddress("localhost", port))
        assert connected.getpeername()[1] == port
        connected.close()


async def test_a_name_that_the_system_knows_is_enough():
    with socket.create_server(("127.0.0.1", 0)) as server:
        connected = await Sockets().connect(ProxyAddress("localhost", server.getsockname()[1]))
        connected.close()


async def test_a_refusal_is_said_in_words_without_the_address():
    with pytest.raises(ConnectionRefusedError) as caught:
        await Sockets().connect(ProxyAddress("127.0.0.1", 1))
    assert caught.value.strerror == "Connection refused"


async def test_a_socket_that_is_gone_is_forgotten():
    sockets = Sockets()
    with pytest.raises(ConnectionRefusedError):
        await sockets.connect(ProxyAddress("127.0.0.1", 1))
    gc.collect()
    assert len(sockets._made) == 0
