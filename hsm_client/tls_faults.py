"""What TLS says when two ends do not accept each other, in words: whose certificate it is and how to mend it."""

import datetime
import ssl
from typing import Final

from hsm_client.errors import ClusterUnreachable, ConfigurationError, HsmError

RENEW: Final = "run `hsmctl dev` again for a cluster that it made, else have the cluster's CA issue a new one"
_OURS: Final = {
    "CERTIFICATE_EXPIRED": f"the certificate of this client has expired; {RENEW}",
    "CERTIFICATE_REVOKED": "the certificate of this client was revoked; have the cluster's CA issue a new one",
    "UNKNOWN_CA": "the certificate of this client is of a CA that the proxy does not know; "
    "use one that the cluster's CA issued",
    "CERTIFICATE_REQUIRED": "it wants a certificate; name one in client.toml",
    "BAD_CERTIFICATE": "it does not accept the certificate of this client; have the cluster's CA issue a new one",
    "DECRYPT_ERROR": "it does not accept the certificate of this client; have the cluster's CA issue a new one",
}
"""What the proxy says of us: the end of OpenSSL's name of the alert -> words."""
_EXPIRED, _NOT_YET = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID
_NO_ISSUER: Final = frozenset({18, 19, 20, 21})
"""X509_V_ERR_...: self-signed, or an issuer that is not in our CA file."""


def expired(what: str, not_after: datetime.datetime) -> ConfigurationError:
    """Return the error for a certificate of ours that has run out."""
    return ConfigurationError(f"{what} expired on {not_after:%Y-%m-%d at %H:%M} UTC; {RENEW}")


def tls_fault(address: object, error: BaseException | None) -> HsmError | None:
    """Return the error to raise for what TLS said, None where it says nothing that a person could mend."""
    if not isinstance(error, ssl.SSLError):
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        return ClusterUnreachable(f"proxy {address} cannot be trusted: {_verification(error)}")
    reason = error.reason or ""
    for ending, words in _OURS.items():
        if reason.endswith(ending):
            return ConfigurationError(f"proxy {address} refused the connection: {words}")
    return ClusterUnreachable(
        f"TLS with proxy {address} failed ({reason.replace('_', ' ').lower() or 'no reason given'}); "
        "check that it is a proxy's address and that both ends have TLS on"
    )


def _verification(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return f"its certificate has expired; for the proxy's: {RENEW}"
    if error.verify_code == _NOT_YET:
        return "its certificate is not valid yet; check the clocks of both hosts"
    if error.verify_code in _NO_ISSUER:
        return "its certificate is of another CA than `ca` in client.toml; name the CA file of this cluster"
    return f"{error.verify_message}; have the cluster's CA issue a new certificate for the proxy"
