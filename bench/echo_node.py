"""Nodes that answer each request with a body of the same size: no crypto, so that the proxy is what is measured.

Runs as a process of its own: `python -m bench.echo_node FOLDER NAME,NAME [--tls]`, all nodes on one loop.
Prints one line of JSON: name -> port.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import cast

import uvloop

from bench.tls import node_context
from hsm_wire import kinds, limits
from hsm_wire.frames import HEADER
from hsm_wire.frames import encode_frame as encode
from hsm_wire.messages import Pong, Welcome, encode_body

SESSIONS = 2048  # operations side by side; an echo never waits
WINDOW = 4096  # requests; above what any workload has in flight, so that the window limits nobody


class EchoProtocol(asyncio.Protocol):
    """One connection of a proxy, or of a client that came directly or through HAProxy."""

    boot_id = os.urandom(16)

    def __init__(self) -> None:
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._completed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        transport = cast("asyncio.Transport", transport)  # uvloop has a class of its own
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer all complete frames with one write."""
        data = self._rest + data if self._rest else data
        offset = 0
        answers: list[bytes] = []
        while len(data) - offset >= limits.HEADER_BYTES:
            length, _, kind, _, request_id, _, _, opcode, _, operation_id = HEADER.unpack_from(data, offset)
            stop = offset + limits.LENGTH_FIELD_BYTES + length
            if stop > len(data):
                break
            if kind == kinds.REQUEST:
                answers.append(HEADER.pack(length, 1, kinds.RESPONSE, 0, request_id, 0, 0, opcode, 0, operation_id))
                answers.append(data[offset + limits.HEADER_BYTES : stop])
                self._completed += 1
            else:
                answers.append(self._control(kind, request_id))
            offset = stop
        self._rest = data[offset:]
        assert self._transport is not None
        if answers and not self._transport.is_closing():
            self._transport.write(b"".join(answers))

    def _control(self, kind: int, request_id: int) -> bytes:
        if kind == kinds.HELLO:
            welcome = Welcome(1, limits.DEFAULT_MAX_FRAME_BYTES, limits.LINK_MAX_IN_FLIGHT, "echo node")
            return encode(kinds.WELCOME, encode_body(welcome))
        if kind == kinds.PING:
            pong = Pong(self.boot_id, 0, SESSIONS, WINDOW, self._completed)
            return encode(kinds.PONG, encode_body(pong), request_id=request_id)
        return b""  # BIND, UNBIND and CANCEL change nothing here


async def serve(folder: Path, names: list[str], tls: bool) -> None:
    """Listen for every node until the process is stopped."""
    loop = asyncio.get_running_loop()
    ports = {}
    for name in names:
        context = node_context(folder, name) if tls else None
        server = await loop.create_server(EchoProtocol, "127.0.0.1", 0, ssl=context, backlog=2048)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2].split(","), "--tls" in sys.argv))
