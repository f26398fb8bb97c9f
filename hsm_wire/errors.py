"""Errors by audience.

WireError                    never raised itself
 +- RemoteProtocolError      the peer broke the rules: answer it (status, detail), then close
 +- LocalProtocolError       the caller of this package did: a bug on our side
 +- BodyError                a body is malformed: answer BAD_REQUEST, the connection lives on

Details speak only of the bytes the peer itself sent, so they may cross the wire.
"""

from hsm_wire.statuses import Status


class WireError(Exception):
    """Base of this package's errors."""


class RemoteProtocolError(WireError):
    """The peer sent a frame that breaks the protocol; nothing after it can be trusted.

    `request_id` is None where no id could be read: then the answer goes out under id 0, before the close.
    """

    def __init__(self, status: Status, detail: str, request_id: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.request_id = request_id


class LocalProtocolError(WireError):
    """This end tried to send what the state of the connection does not allow."""


class BodyError(WireError):
    """A body is not the MessagePack array that its message type asks for."""
