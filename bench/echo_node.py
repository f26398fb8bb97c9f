"""Nodes that answer each request with a body of the same size, in Python: where native/echo_node.c cannot be compiled.

Runs as a process of its own: `python -m bench.echo_node [--window N] [--tls FOLDER] NAME...`, all nodes on one loop.
Prints one line of JSON: name -> port.
"""

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import cast

import uvloop

from bench.tls import node_context
from hsm_wire import kinds, limits
from hsm_wire.connection import encode_failure
from hsm_wire.frames import HEADER
from hsm_wire.frames import encode_frame as encode
from hsm_wire.messages import Pong, Welcome, encode_body
from hsm_wire.statuses import Status

CHECK = 0x0004  # a proxy's deep check, which an echo cannot pass: unknown here, so that it is left out
SESSIONS = 2048  # operations side by side; an echo never waits
DEFAULT_WINDOW = 65536  # requests; above what any workload has in flight, so that it limits nobody


class EchoProtocol(asyncio.Protocol):
    """One connection of a proxy, or of a client that came directly or through HAProxy."""

    boot_id = os.urandom(16)

    def __init__(self, window: int) -> None:
        self._window = window
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
            if kind != kinds.REQUEST:
                answers.append(self._control(kind, request_id))
            elif opcode == CHECK:
                unknown = Status.UNKNOWN_OPERATION
                answers.append(
                    encode_failure(request_id, unknown, "no CHECK", opcode=opcode, operation_id=operation_id)
                )
            else:
                answers.append(HEADER.pack(length, 1, kinds.RESPONSE, 0, request_id, 0, 0, opcode, 0, operation_id))
                answers.append(data[offset + limits.HEADER_BYTES : stop])
                self._completed += 1
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
            pong = Pong(self.boot_id, 0, SESSIONS, self._window, self._completed)
            return encode(kinds.PONG, encode_body(pong), request_id=request_id)
        return b""  # BIND, UNBIND and CANCEL change nothing here


async def serve(names: list[str], window: int, folder: Path | None) -> None:
    """Listen for every node until the process is stopped."""
    loop = asyncio.get_running_loop()
    ports = {}
    for name in names:
        context = node_context(folder, name) if folder is not None else None
        server = await loop.create_server(lambda: EchoProtocol(window), "127.0.0.1", 0, ssl=context, backlog=2048)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Read the options, serve."""
    parser = argparse.ArgumentParser(prog="bench.echo_node", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--window", type=int, default=DEFAULT_WINDOW)
    parser.add_argument("--tls", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    uvloop.run(serve(options.names, options.window, options.tls))


if __name__ == "__main__":
    main()
