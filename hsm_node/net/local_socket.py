"""The socket for the people on the node's own host: a file in the state directory that root alone may open.

Theory. Shares of a master key must not pass a proxy, nor a network. Who may connect is decided twice, by the file's
mode and by what the kernel says of the peer (SO_PEERCRED), since a mode is easily changed.
"""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hsm_daemon.errors import StartError

FILE_NAME: Final = "admin.sock"
BACKLOG: Final = 8
"""Connections that the system holds until they are accepted; one command makes one."""
_MODE: Final = 0o600
_CREDENTIALS: Final = struct.Struct("3i")
"""struct ucred: process, user, group."""


@contextlib.contextmanager
def local_socket(folder: Path) -> Iterator[socket.socket]:
    """Listen on `admin.sock` in that folder, which is made where it is missing; the file is removed at the end.

    Raises:
        StartError: it cannot be made, or another node has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StartError(f"{folder}: state_dir cannot be used ({error.strerror}); check its rights") from None
    # Its own path may be longer than the 107 bytes that an address has.
    address = f"/proc/self/fd/{inside}/{FILE_NAME}"
    try:
        listener = _listen(folder / FILE_NAME, address)
        try:
            yield listener
        finally:
            listener.close()
            with contextlib.suppress(OSError):  # Whoever removed it before us had the same in mind.
                os.unlink(FILE_NAME, dir_fd=inside)
    finally:
        os.close(inside)


def peer_uid(connection: socket.socket) -> int:
    """Return the user id of the process at the other end, as it was when that connected."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])


def _listen(path: Path, address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _remove_left_over(path, address)
        os.fchmod(listener.fileno(), _MODE)  # Linux gives the file the socket's own mode: it never has another one.
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartError(f"{path}: the local socket cannot be made ({error.strerror}); check state_dir") from None
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_left_over(path: Path, address: str) -> None:
    """Remove the file of a node that was killed; nobody listens on it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        found = probe.connect_ex(address)
    if found == errno.ENOENT:
        return
    if found != errno.ECONNREFUSED:
        raise StartError(f"{path}: another hsm-node uses this state_dir; stop that one, or correct state_dir")
    os.unlink(address)
