"""A failed TLS handshake: what the log says of it, and whether the peer is told before the connection ends."""

import ssl
from typing import Final

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog

LINES_PER_S: Final = 10  # of failed handshakes; a scanner must not fill the disk

failures: Final = LimitedLog(logs.logger("daemon.tls"), LINES_PER_S)
_NO_CERTIFICATE: Final = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


def is_refusal(error: ssl.SSLError) -> bool:
    """Say whether it is the peer's certificate, or that it has none: such a peer speaks TLS and reads an alert.

    Who speaks no TLS, or none of ours, reads none and might never close.
    """
    return isinstance(error, ssl.SSLCertVerificationError) or error.reason == _NO_CERTIFICATE


def reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's words without the place in its source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not accepted: {error.verify_message}"
    return (error.reason or str(error)).lower().replace("_", " ")
