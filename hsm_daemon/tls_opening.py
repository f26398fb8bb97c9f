"""Connections with TLS of our own, accepted and made: the protocol comes when the handshake is done."""

import asyncio
import socket
import ssl

from hsm_daemon.tls import TlsLimits
from hsm_daemon.tls_session import TlsSession
from hsm_daemon.tls_transport import TlsTransport


async def accept(
    protocol: asyncio.Protocol, connection: socket.socket, context: ssl.SSLContext, limits: TlsLimits
) -> None:
    """Give an accepted connection to a protocol, after its handshake.

    Raises:
        ssl.SSLError: the handshake failed.
        ConnectionAbortedError: it was not done in time.
        OSError: the peer went away.
    """
    tls = TlsTransport(protocol, TlsSession(context, server_side=True), limits)
    try:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: tls, connection)
        await tls.shaken
    except BaseException:
        tls.abort()
        raise


async def connect(protocol: asyncio.Protocol, host: str, port: int, context: ssl.SSLContext, limits: TlsLimits) -> None:
    """Connect a protocol to a server; its `connection_made` comes after the handshake.

    Raises:
        OSError: as `accept`, and whatever a connection without TLS fails with.
        ValueError: the host's name cannot be one.
    """
    tls = TlsTransport(protocol, TlsSession(context, server_side=False, server_hostname=host), limits)
    try:
        await asyncio.get_running_loop().create_connection(lambda: tls, host, port)
        await tls.shaken
    except BaseException:
        tls.abort()
        raise
