"""A node on this host, asked over its local socket (`admin.sock` in its state directory): no proxy, no network."""

import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import click
import msgspec

from hsm_client.errors import make_error
from hsm_client.unconfirmed import UNCONFIRMED, unconfirmed_text
from hsm_wire import kinds, limits
from hsm_wire.connection import Connection
from hsm_wire.errors import BodyError
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Failure, Hello, Unconfirmed, Welcome, decode_body, encode_body
from hsm_wire.states import End
from hsm_wire.statuses import StatusClass, status_class
from hsmctl.failures import UNREACHABLE, CommandError

ANSWER_S: Final = 60.0
"""For one answer: to open a store of 100,000 keys takes seconds on a busy machine."""
READ_BYTES: Final = 65_536
NAME: Final = "hsmctl"
DEFAULT_SOCKET: Final = "/var/lib/redoubt/admin.sock"

_T = TypeVar("_T", bound=msgspec.Struct)
_R = TypeVar("_R")
_log = logging.getLogger("hsmctl")


def socket_option(command: Callable[..., _R]) -> Callable[..., _R]:
    """Add --socket, given as `path`."""
    return click.option(
        "--socket",
        "path",
        type=click.Path(path_type=Path),
        callback=_socket_or_default,
        envvar="HSM_NODE_SOCKET",
        metavar="PATH",
        help="admin.sock in the node's state_dir [HSM_NODE_SOCKET, else the first node's of the `hsmctl dev` in use, "
        f"else {DEFAULT_SOCKET}].",
    )(command)


def _socket_or_default(context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path:
    if value is not None:
        return value
    named = context.find_root().params.get("config") or os.environ.get("HSM_CLIENT_CONFIG")
    if named:
        folder = Path(named).expanduser().parent
        sockets = sorted(folder.glob("state/*/admin.sock")) if (folder / "dev.json").exists() else []
        if sockets:
            return sockets[0]
    return Path(DEFAULT_SOCKET)


class LocalNode:
    """A greeted connection; one request after the other."""

    def __init__(self, path: Path, connected: socket.socket) -> None:
        self._path = path
        self._socket = connected
        self._wire = Connection(End.CLIENT, binds=False)
        self._frames: list[Frame] = []
        self._last_id = 0
        self._warned: set[str] = set()
        hello = Hello(1, limits.PROTOCOL_VERSION, limits.DEFAULT_MAX_FRAME_BYTES, 1, NAME)
        self._wire.sent(kinds.HELLO)
        self._send(encode_frame(kinds.HELLO, encode_body(hello)))
        answer = self._frame()
        if answer.kind != kinds.WELCOME:
            raise self._failure(answer)
        self.name = self._body(Welcome, answer.body).name
        self._wire.agree(limits.DEFAULT_MAX_FRAME_BYTES)

    def request(self, opcode: int, body: msgspec.Struct, result: type[_T]) -> _T:
        """Return the result of an operation; warn where it is done and not everywhere yet.

        Raises:
            HsmError: the node refused it.
            CommandError: it cannot be reached any more.
        """
        self._last_id += 1
        self._send(
            encode_frame(
                kinds.REQUEST,
                encode_body(body),
                request_id=self._last_id,
                opcode=opcode,
                operation_id=secrets.randbits(64),
            )
        )
        answer = self._frame()
        same = answer.kind == kinds.RESPONSE and answer.request_id == self._last_id
        if not same or status_class(answer.status) != StatusClass.OK:
            raise self._failure(answer)
        if answer.status in UNCONFIRMED:
            done = self._body(Unconfirmed, answer.body)
            self._warn(unconfirmed_text(answer.status, done.unconfirmed))
            return self._body(result, done.result)
        return self._body(result, answer.body)

    def _warn(self, text: str) -> None:
        if text not in self._warned:  # A command may ask for a hundred things, and the same is missing after each.
            self._warned.add(text)
            _log.warning("%s", text)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            self._lost(error.strerror or "no answer in time")

    def _frame(self) -> Frame:
        while not self._frames:
            try:
                data = self._socket.recv(READ_BYTES)
            except OSError as error:
                self._lost(error.strerror or f"no answer within {ANSWER_S:g} s")
            if not data:
                self._lost("it closed the connection")
            self._frames += self._wire.receive(data)
            if self._wire.fault is not None:
                self._lost("it broke the protocol")
        return self._frames.pop(0)

    def _body(self, form: type[_T], body: bytes | msgspec.Raw) -> _T:
        try:
            return decode_body(form, body)
        except BodyError:
            self._lost("it broke the protocol")

    def _failure(self, answer: Frame) -> Exception:
        if answer.kind != kinds.RESPONSE or status_class(answer.status) == StatusClass.OK:
            self._lost("it broke the protocol")
        error = make_error(answer.status, self._body(Failure, answer.body).detail)
        error.not_executed = bool(answer.flags & kinds.Flag.NOT_EXECUTED)
        return error

    def _lost(self, reason: str) -> NoReturn:
        raise CommandError(f"{self._path}: the node is lost ({reason}); look into its log", UNREACHABLE)


@contextlib.contextmanager
def local_node(path: Path) -> Iterator[LocalNode]:
    """Connect to the node whose local socket that is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected:
        connected.settimeout(ANSWER_S)
        try:
            # The path may be longer than the 107 bytes that an address has.
            folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
            try:
                connected.connect(f"/proc/self/fd/{folder}/{path.name}")
            finally:
                os.close(folder)
        except PermissionError:
            raise CommandError(f"{path} is for root and the node's own user only; run this as root") from None
        except OSError as error:
            raise CommandError(
                f"{path}: no node answers there ({error.strerror}); start it, or name admin.sock in its state_dir by "
                "--socket",
                UNREACHABLE,
            ) from None
        yield LocalNode(path, connected)
