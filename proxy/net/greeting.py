"""HELLO of a client: what both ends agree on and who is there, or why there is no connection."""

import asyncio
from typing import TYPE_CHECKING

from hsm_wire.connection import agree_on
from hsm_wire.errors import BodyError, RemoteProtocolError
from hsm_wire.messages import Hello, Welcome, decode_body
from hsm_wire.statuses import Status
from proxy.core.principals import Bound

if TYPE_CHECKING:
    from proxy.net.listener import Listener


class Refused(Exception):  # noqa: N818 - the answer to a HELLO, not an error of this program
    """No connection: the status and the text that the client is told."""

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def answer(body: bytes, listener: "Listener", transport: asyncio.BaseTransport, peer: str) -> tuple[Welcome, Bound]:
    """Return what both ends keep to, and who is there.

    Raises:
        Refused: HELLO is answered with this; nothing is kept of the client.
    """
    if listener.dispatcher.leaving:
        raise Refused(Status.GOING_AWAY, "this proxy is shutting down; use another one")
    welcome = _agreed(body, listener)
    principal = listener.admit(transport, peer)
    if principal is None:
        raise Refused(Status.DENIED, "this certificate's identity is not a client of this cluster")
    if listener.crowded(principal, peer):
        limit = listener.settings.limits.identity_clients
        raise Refused(Status.OVERLOADED, f"this identity has its {limit} connections")
    return welcome, principal


def _agreed(body: bytes, listener: "Listener") -> Welcome:
    limits = listener.settings.limits
    try:
        return agree_on(
            decode_body(Hello, body),
            limits.max_frame_bytes,
            limits.client_in_flight,
            listener.software,
            listener.configuration_hash,
        )
    except BodyError as error:
        raise Refused(Status.BAD_REQUEST, str(error)) from None
    except RemoteProtocolError as error:
        raise Refused(error.status, error.detail) from None
