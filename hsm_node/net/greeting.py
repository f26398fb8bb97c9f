"""HELLO and its answer: what both ends agree on, or why they do not."""

from hsm_node.core.refusal import Refusal
from hsm_node.net.host import Host
from hsm_wire import limits
from hsm_wire.connection import agree_on
from hsm_wire.errors import BodyError, RemoteProtocolError
from hsm_wire.messages import Hello, Welcome, decode_body
from hsm_wire.statuses import Status


def answer(body: bytes, host: Host) -> tuple[str, Welcome]:
    """Return the name that a HELLO gives, and the WELCOME to it.

    Raises:
        Refusal: it is malformed, or there is nothing that both ends can agree on.
    """
    try:
        hello = decode_body(Hello, body)
        name, configuration_hash = host.welcome(hello)
        return hello.name, agree_on(hello, host.max_frame_bytes, limits.LINK_MAX_IN_FLIGHT, name, configuration_hash)
    except BodyError as error:
        raise Refusal(Status.BAD_REQUEST, str(error)) from None
    except RemoteProtocolError as error:
        raise Refusal(error.status, error.detail) from None
