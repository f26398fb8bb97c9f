"""Who answers on a local socket in a node's place, played by a thread."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from hsm_wire import kinds
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.messages import Failure, Welcome, encode_body
from hsm_wire.statuses import Status

Answering = Callable[[int, bytes], msgspec.Struct]


WELCOME = encode_frame(kinds.WELCOME, encode_body(Welcome(1, 1 << 20, 1, "redoubt-node/0 node-1")))


class LocalPeer:
    """Takes one connection after the other; `talk` has it until it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(2)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def talk(self, connection: socket.socket) -> None:
        """Say something."""
        raise NotImplementedError

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self.talk(connection)


class FakeNode(LocalPeer):
    """Answers every request as it is told, over as many connections as there are."""

    def __init__(self, path: Path) -> None:
        self.answering: Answering = lambda _opcode, _body: Failure("nothing")
        super().__init__(path)

    def talk(self, connection: socket.socket) -> None:
        splitter = FrameSplitter(1 << 20)
        while data := connection.recv(65_536):
            for frame in splitter.split(data):
                if frame.kind == kinds.HELLO:
                    connection.sendall(WELCOME)
                    continue
                body = self.answering(frame.opcode, frame.body)
                status = Status.BAD_DATA if isinstance(body, Failure) else 0
                answer = {"request_id": frame.request_id, "opcode": frame.opcode, "status": status}
                connection.sendall(encode_frame(kinds.RESPONSE, encode_body(body), **answer))
