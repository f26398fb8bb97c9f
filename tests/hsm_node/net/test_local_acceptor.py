"""Who may connect to the local socket, how many, and for how long; root is an operator there."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hsm_node.net import local_acceptor
from hsm_node.net.host import Host
from hsm_node.net.local_acceptor import MAX_LINKS, LocalAcceptor
from hsm_node.net.local_socket import FILE_NAME, local_socket
from hsm_wire import kinds
from hsm_wire.administration import ClusterState, Report, Unseal
from hsm_wire.messages import Empty, Pong, Random, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Connect = Callable[..., Any]


@pytest.fixture
def bound(node_folder: Path) -> Iterator[socket.socket]:
    """A local socket that is closed after the node has ended."""
    with local_socket(node_folder / "state" / "node-1") as listener:
        yield listener


@pytest.fixture
async def local(
    bound: socket.socket, start_node: Callable[..., Any], node_folder: Path, wire_client: Any
) -> AsyncIterator[Connect]:
    """Connect to the local socket of a node that has its keys."""
    node = start_node()
    node.node.local = bound
    clients = []

    async def connect(*, greet: bool = True) -> Any:
        await asyncio.wait_for(node.ready.wait(), 10)
        client = wire_client(*await asyncio.open_unix_connection(node_folder / "state" / "node-1" / FILE_NAME))
        clients.append(client)
        if greet:
            client.greet()
            assert (await client.frame()).kind == kinds.WELCOME
        return client

    yield connect
    for client in clients:
        client.writer.close()


def test_it_has_all_that_a_link_needs() -> None:
    wanted = {name for name in vars(Host) if not name.startswith("_")}
    assert wanted <= {*vars(LocalAcceptor), *LocalAcceptor.__init__.__code__.co_names}


async def test_root_is_an_operator_and_nobody_else(local: Connect) -> None:
    client = await local()
    state = await client.call(Opcode.CLUSTER_STATE, Empty(), principal=0)
    assert decode_body(ClusterState, state.body).cluster == "dev"
    assert (await client.call(Opcode.RANDOM, Random(5), principal=0)).status == Status.DENIED
    report = decode_body(Report, (await client.call(Opcode.UNSEAL, Unseal(b"x"), principal=0)).body)
    assert (report.ok, report.lines) == (True, ["node-1 is not sealed"])
    client.send(kinds.PING)
    assert decode_body(Pong, (await client.frame()).body).state == "up"


async def test_nobody_can_be_bound_and_no_principal_named(local: Connect) -> None:
    for spoil in (lambda client: client.bind(), lambda client: client.request(Opcode.INFO, Empty(), principal=7)):
        client = await local()
        spoil(client)
        assert (await client.frame()).status == Status.DENIED
        assert await client.ended()


async def test_another_user_is_refused_in_words(local: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_acceptor, "peer_uid", lambda _connection: 12345)
    client = await local(greet=False)
    client.greet()
    assert (await client.frame()).status == Status.DENIED
    assert await client.ended()


async def test_a_connection_too_many_is_closed_and_the_others_live(local: Connect) -> None:
    clients = [await local() for _ in range(MAX_LINKS)]
    extra = await local(greet=False)
    assert await extra.ended()
    clients[0].writer.close()
    await clients[0].writer.wait_closed()
    await asyncio.sleep(0)
    assert (await clients[1].call(Opcode.CLUSTER_STATE, Empty(), principal=0)).status == Status.OK


async def test_a_connection_has_an_end(local: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_acceptor, "LIFE_S", 0.05)
    client = await local(greet=False)
    assert await client.ended()
