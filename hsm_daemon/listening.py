"""Listening sockets: made, or taken over from who started this process."""

import errno
import socket
from collections.abc import Mapping
from typing import Final

from hsm_daemon import logs
from hsm_daemon.errors import StartError

_log = logs.logger("daemon.listening")

WHAT_TO_DO: Final = {
    errno.EADDRINUSE: "stop the program that uses it, or choose another address",
    errno.EADDRNOTAVAIL: "this host has no such address: correct it",
    errno.EACCES: "choose a port above 1023, or give the service CAP_NET_BIND_SERVICE",
    errno.EAFNOSUPPORT: "this host does not speak that kind of address: choose another one",
}


def bind(host: str, port: int, backlog: int) -> socket.socket:
    """Return a socket that listens and does not block; port 0 is any free one, `::` takes IPv4 as well.

    Args:
        host: a name or an address; of a name with several addresses the first one is used.
        port: to listen on.
        backlog: how many connections the kernel holds until they are accepted (it may hold fewer: somaxconn).

    Raises:
        StartError: the address is in use, or not this host's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(f"cannot listen on {joined(host, port)}: {error.strerror}; correct the address") from None
    family, kind, protocol, _, address = found[0]
    listener: socket.socket | None = None
    try:
        listener = socket.socket(family, kind, protocol)
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart, old connections linger
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # whatever the host's default is
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        if listener is not None:
            listener.close()
        what = WHAT_TO_DO.get(error.errno or 0, "choose another address")
        raise StartError(f"cannot listen on {joined(host, port)}: {error.strerror or error}; {what}") from None
    return listener


def take(inherited: Mapping[str, socket.socket], name: str, host: str, port: int, backlog: int) -> socket.socket:
    """Return the inherited listener of that name, or else a new one on the configured address.

    What was inherited wins, since whoever started this process chose it; that it differs is logged.

    Raises:
        StartError: as `bind`.
    """
    listener = inherited.get(name)
    if listener is None:
        return bind(host, port, backlog)
    listener.listen(backlog)
    bound = address_of(listener)
    if port not in (0, bound[1]):
        configured = joined(host, port)
        logs.event(
            _log, "warning", "serving on the inherited address, not on the configured one: restart to change it",
            listener=name, inherited=joined(*bound), configured=configured,
        )  # fmt: skip
    return listener


def address_of(listener: socket.socket) -> tuple[str, int]:
    """Return the host and the port that a listener is bound to."""
    name = listener.getsockname()
    return str(name[0]), int(name[1])


def joined(host: str, port: int) -> str:
    """Return an address as people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
