"""Peers that connected and have not said a word."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from hsm_daemon import silence
from hsm_daemon.silence import SilentPeers


class Spoken:
    """Who spoke, in order."""

    def __init__(self) -> None:
        self.peers: list[str] = []

    def __call__(self, connection: socket.socket, peer: str) -> None:
        self.peers.append(peer)
        connection.close()


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    made: list[tuple[socket.socket, socket.socket]] = []
    yield made
    for pair in made:
        for end in pair:
            end.close()


def pair_of(pairs: list[tuple[socket.socket, socket.socket]]) -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair()
    pair[0].setblocking(False)
    pairs.append(pair)
    return pair


def is_closed(far: socket.socket) -> bool:
    far.settimeout(1)
    return far.recv(1) == b""


def test_silent_is_who_has_sent_nothing_and_is_there(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    near, far = pair_of(pairs)
    assert SilentPeers.is_silent(near)
    far.send(b"x")
    assert not SilentPeers.is_silent(near)
    assert near.recv(1) == b"x", "the byte is still there"
    far.close()
    assert not SilentPeers.is_silent(near)


async def test_the_first_byte_hands_a_connection_on(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    spoken = Spoken()
    peers = SilentPeers(spoken)
    first, second = pair_of(pairs), pair_of(pairs)
    peers.wait_for(first[0], "first")
    peers.wait_for(second[0], "second")
    second[1].send(b"x")
    async with asyncio.timeout(5):
        while not spoken.peers:
            await asyncio.sleep(0.001)
    assert (spoken.peers, len(peers)) == (["second"], 1)
    peers.close()
    assert len(peers) == 0
    assert is_closed(first[1])


async def test_who_goes_on_saying_nothing_is_dropped(
    pairs: list[tuple[socket.socket, socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SILENT_S", 0.02)
    spoken = Spoken()
    peers = SilentPeers(spoken)
    made = [pair_of(pairs) for _ in range(3)]
    for near, _ in made:
        peers.wait_for(near, "peer")
    async with asyncio.timeout(5):
        while len(peers):
            await peers.ended()
    assert spoken.peers == []
    assert all(is_closed(far) for _, far in made)


async def test_with_too_many_who_waits_longest_makes_room(
    pairs: list[tuple[socket.socket, socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SILENT_AT_ONCE", 2)
    peers = SilentPeers(Spoken())
    made = [pair_of(pairs) for _ in range(3)]
    for near, _ in made:
        peers.wait_for(near, "peer")
    assert len(peers) == 2
    assert is_closed(made[0][1])
    peers.close()
