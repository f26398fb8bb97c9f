"""The relay harms what passes as it is told, in the class and as a program."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fault_processes import NodeProcess, RelayProcess
from raw import RawConnection
from relay import Relay

QUIET_S = 0.12

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    started = await Relay(f"{host}:{port}", seed=3).start()
    yield started
    await started.stop()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def streams(relay: Relay) -> AsyncIterator[Streams]:
    reader, writer = await connect(relay)
    yield reader, writer
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def connect(relay: Relay) -> Streams:
    async with asyncio.timeout(QUIET_S):
        return await asyncio.open_connection("127.0.0.1", int(relay.address.rpartition(":")[2]))


async def exchange(streams: Streams, data: bytes) -> bytes:
    """Send, and return the echo."""
    streams[1].write(data)
    async with asyncio.timeout(3):
        return await streams[0].readexactly(len(data))


async def hears_nothing(streams: Streams) -> bool:
    streams[1].write(b"?")
    try:
        async with asyncio.timeout(QUIET_S):
            await streams[0].readexactly(1)
    except TimeoutError:
        return True
    return False


async def test_everything_passes_at_first(relay: Relay, streams: Streams) -> None:
    data = bytes(range(256)) * 4000
    assert await exchange(streams, data) == data
    assert relay.seen() == {
        "connected": 1, "open": 1, "passed": {"out": len(data), "in": len(data)}, "corrupted": {"out": 0, "in": 0},
    }  # fmt: skip


async def test_half_a_close_is_handed_on(relay: Relay, streams: Streams) -> None:
    streams[1].write(b"last")
    streams[1].write_eof()
    async with asyncio.timeout(3):
        assert await streams[0].read() == b"last"


async def test_cut_resets_and_new_connections_pass(relay: Relay, streams: Streams) -> None:
    await exchange(streams, b"1")
    relay.cut()
    with pytest.raises(ConnectionResetError):
        await streams[0].read(1)
    again = await connect(relay)
    assert await exchange(again, b"2") == b"2"
    again[1].close()


async def test_fin_ends_in_order(relay: Relay, streams: Streams) -> None:
    await exchange(streams, b"1")
    relay.fin()
    async with asyncio.timeout(3):
        assert await streams[0].read() == b""


async def test_a_black_hole_keeps_what_it_swallows_until_it_is_healed(relay: Relay, streams: Streams) -> None:
    await exchange(streams, b"1")
    relay.black_hole()
    assert await hears_nothing(streams)
    fresh = await connect(relay)
    assert await hears_nothing(fresh)
    relay.heal()
    async with asyncio.timeout(3):
        assert await streams[0].readexactly(1) == await fresh[0].readexactly(1) == b"?"
    fresh[1].close()


async def test_a_black_hole_for_new_connections(relay: Relay) -> None:
    relay.black_hole("black-hole")
    with pytest.raises(TimeoutError):
        await connect(relay)
    relay.listen("refuse")
    with pytest.raises(ConnectionRefusedError):
        await connect(relay)


async def test_one_direction_dropped(relay: Relay, streams: Streams) -> None:
    await exchange(streams, b"1")
    relay.drop("in")
    assert await hears_nothing(streams)
    deadline = time.monotonic() + 3
    while relay.seen()["passed"]["out"] < 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)
    assert relay.seen()["passed"] == {"out": 2, "in": 1}
    relay.heal()
    async with asyncio.timeout(3):
        assert await streams[0].readexactly(1) == b"?"


async def test_delay_is_a_pipeline_in_each_direction(relay: Relay, streams: Streams) -> None:
    relay.delay(30, direction="out")
    relay.delay(20, jitter_ms=5, direction="in")
    started = time.monotonic()
    for number in range(10):
        streams[1].write(bytes([number]))
        await asyncio.sleep(0.003)
    async with asyncio.timeout(3):
        assert await streams[0].readexactly(10) == bytes(range(10))
    assert 0.045 <= time.monotonic() - started < 0.4  # ten delays one after the other would be 0.5 s


async def test_split_into_pieces(relay: Relay, streams: Streams) -> None:
    relay.split(10, gap_ms=5, direction="in")
    started = time.monotonic()
    streams[1].write(bytes(95))
    async with asyncio.timeout(3):
        assert len(await streams[0].read(100)) == 10
        await streams[0].readexactly(85)
    assert time.monotonic() - started >= 0.045


async def test_throttle(relay: Relay, streams: Streams) -> None:
    relay.throttle(10_000, "out")
    started = time.monotonic()
    await exchange(streams, bytes(1500))
    assert time.monotonic() - started >= 0.1


async def test_a_byte_is_corrupted_and_the_same_one_with_the_same_seed(relay: Relay, streams: Streams) -> None:
    relay.corrupt(after=5, times=2, direction="out")
    found = await exchange(streams, bytes(20))
    assert [index for index, byte in enumerate(found) if byte] == [5, 11]
    assert relay.seen()["corrupted"] == {"out": 2, "in": 0}
    twin = await Relay(":".join(map(str, relay.target)), seed=3).start()
    twin.corrupt(after=5, times=2, direction="out")
    other = await connect(twin)
    assert await exchange(other, bytes(20)) == found
    other[1].close()
    await twin.stop()


async def test_a_target_that_refuses_resets_the_client(relay: Relay) -> None:
    gone = await Relay(relay.address).start()
    relay.listen("refuse")
    reader, writer = await connect(gone)
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    writer.close()
    await gone.stop()


async def test_an_unknown_direction_is_refused(relay: Relay) -> None:
    with pytest.raises(ValueError, match="no direction 'up'; there are both, out, in"):
        relay.drop("up")


def test_the_program_between_a_client_and_a_node(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node, RelayProcess(tmp_path, node.address) as relay:
        with RawConnection(relay.port, None) as client:
            assert len(client.request(2, [16]).body[0]) == 16
            relay.call("cut")
            assert client.closed_by_peer()
        with pytest.raises(ValueError, match="no state 'ajar'"):
            relay.call("listen", state="ajar")
        with pytest.raises(ValueError, match="no command 'dance'; there are black_hole, corrupt"):
            relay.call("dance")
        assert relay.call("seen")["connected"] == 1
        assert node.log()[0].ended_at is None
        relay.kill()
        with pytest.raises(ConnectionRefusedError):
            RawConnection(relay.port, None)
        relay.start()
        RawConnection(relay.port, None).socket.close()
