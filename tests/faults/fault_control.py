"""The control port of a fault program: a line of JSON asks, a line of JSON answers."""

import asyncio
import ctypes
import json
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

MAX_LINE_BYTES = 1 << 20  # a thousand faults fit in
CALL_TIMEOUT_S = 5.0
_PR_SET_PDEATHSIG = 1

Commands = Mapping[str, Callable[..., Any]]


class ControlServer:
    """Runs commands: `{"command": NAME, ...arguments}` is answered `{"ok": true, "result": ...}`, or false and why."""

    def __init__(self, commands: Commands) -> None:
        self.ended = asyncio.Event()
        self._commands = {**commands, "quit": self.ended.set}
        self._server: asyncio.Server | None = None
        self.address = ""

    async def start(self, host: str, port: int) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._converse, host, port, limit=MAX_LINE_BYTES)
        self.address = format_address(*self._server.sockets[0].getsockname()[:2])

    def stop(self) -> None:
        """Listen no more; conversations end with the process."""
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self._run(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):  # Gone, or a line too long.
            pass
        finally:
            writer.close()

    def _run(self, line: bytes) -> dict[str, Any]:
        try:
            arguments = json.loads(line)
            command = self._commands[arguments.pop("command")]
            return {"ok": True, "result": command(**arguments)}
        except KeyError as error:
            return {"ok": False, "error": f"no command {error}; there are {', '.join(sorted(self._commands))}"}
        except (TypeError, ValueError) as error:
            return {"ok": False, "error": str(error)}


class ControlClient:
    """Asks a control port, blocking; each answer takes well below a millisecond unless the program hangs."""

    def __init__(self, address: str) -> None:
        self._socket = socket.create_connection(parse_address(address), timeout=CALL_TIMEOUT_S)
        self._lines = self._socket.makefile("rb")

    def call(self, command: str, **arguments: Any) -> Any:
        """Return the result of a command.

        Raises:
            ValueError: the program refused it; the text is its reason.
            OSError: the program is gone, or hangs.
        """
        self._socket.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
        line = self._lines.readline(MAX_LINE_BYTES)
        if not line:
            raise ConnectionError("the program is gone")
        answer = json.loads(line)
        if not answer["ok"]:
            raise ValueError(answer["error"])
        return answer["result"]

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self._socket.close()


def parse_address(text: str) -> tuple[str, int]:
    """Split HOST:PORT, [::1]:PORT too."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def format_address(host: str, port: int) -> str:
    """Join host and port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def end_with_parent() -> None:
    """Have the system kill this process when its parent ends, however that happens, also when this one is stopped."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


async def run_until_told(control: ControlServer, address: str) -> None:
    """Say where the program listens, on one line of JSON, and wait for `quit` or SIGTERM."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, control.ended.set)
    sys.stdout.write(json.dumps({"event": "ready", "address": address, "control": control.address}) + "\n")
    sys.stdout.flush()
    await control.ended.wait()
    control.stop()
