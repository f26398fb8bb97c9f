"""A failed TLS handshake, told to the peer and to the log.

Theory. OpenSSL answers a bad certificate with an alert, but asyncio and uvloop drop the connection when
`do_handshake` raises, before that alert has left: the peer sees a closed connection and no reason, and the log
says nothing. So the first failure over a certificate is turned into "wait for more": the loop then sends what is
to be sent. The next call, when the peer has sent or closed something, fails as it should have; a peer that does
neither is dropped when the handshake's time is up.
"""

import ssl
from contextvars import ContextVar
from typing import Final

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog

LINES_PER_S: Final = 10  # of failed handshakes; a scanner must not fill the disk

peer_name: ContextVar[str] = ContextVar("peer_name", default="unknown")
"""Who is at the other end, for the log: OpenSSL's object does not know. Set by whoever accepts the connection."""

failures: Final = LimitedLog(logs.logger("daemon.tls"), LINES_PER_S)
_NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


class TellingSslObject(ssl.SSLObject):
    """For `SSLContext.sslobject_class` of a server's context."""

    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Go on with the handshake; raise a refused certificate at the second call only."""
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            failures.event("warning", "a TLS handshake failed", peer=peer_name.get(), reason=_reason(error))
            if not (isinstance(error, ssl.SSLCertVerificationError) or error.reason == _NO_CERTIFICATE):
                raise  # No TLS, or none of ours: such a peer reads no alert and might never close.
            self._failure = error
            raise ssl.SSLWantReadError from error


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's words without the place in its source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not accepted: {error.verify_message}"
    return (error.reason or str(error)).lower().replace("_", " ")
