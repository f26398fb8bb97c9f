"""What the system knows of a silent peer, asked of real connections: a filter at the receiver drops like a network."""

import asyncio
import ctypes
import socket
import struct

from proxy.net.acknowledgement import unacknowledged_s

_SO_ATTACH_FILTER = 26
_PATIENCE_S = 20.0


def _deafen(sock: socket.socket) -> None:
    """Have the kernel throw away whatever arrives for a connection, before TCP sees it: no acknowledgement is sent."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0 bytes of the packet
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(drop_all)))


class Peers:
    """A connection of this loop, and the socket at its other end, which nobody reads."""

    async def __aenter__(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, *listener.getsockname()
            )
            self.far, _ = listener.accept()
        return self

    async def __aexit__(self, *_):
        self.transport.abort()
        self.far.close()
        await asyncio.sleep(0)


async def _until(condition):
    async with asyncio.timeout(_PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_process_that_reads_nothing_has_a_machine_that_acknowledges():
    async with Peers() as peers:
        peers.transport.write(b"x" * 1_000)
        await asyncio.sleep(0.3)  # longer than a retransmission timer: it finds nothing to do
        assert unacknowledged_s(peers.transport) == 0.0


async def test_a_machine_that_is_out_of_reach_acknowledges_nothing():
    async with Peers() as peers:
        peers.transport.write(b"before")
        await asyncio.sleep(0.05)
        _deafen(peers.far)
        peers.transport.write(b"lost")
        await _until(lambda: unacknowledged_s(peers.transport) > 0.15)


async def test_nothing_is_known_of_what_is_closed_or_no_connection():
    assert unacknowledged_s(None) == 0.0
    async with Peers() as peers:
        pass
    assert unacknowledged_s(peers.transport) == 0.0
    near, far = socket.socketpair()
    with far:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
        assert unacknowledged_s(transport) == 0.0
        transport.abort()
        await asyncio.sleep(0)
