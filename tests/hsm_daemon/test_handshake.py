"""Failed handshakes: which of them the peer is told, and in which words the log has them."""

import ssl

from hsm_daemon.handshake import is_refusal, reason


def refusal() -> ssl.SSLCertVerificationError:
    """Return what OpenSSL raises for a foreign certificate."""
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:1006)")
    error.verify_message = "unable to get local issuer certificate"
    return error


def missing() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: PEER_DID_NOT_RETURN_A_CERTIFICATE] peer did not return a certificate (_ssl.c:1006)")
    error.reason = "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    return error


def plain_text() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: HTTP_REQUEST] http request (_ssl.c:1006)")
    error.reason = "HTTP_REQUEST"
    return error


def test_whose_certificate_is_bad_or_missing_is_told() -> None:
    assert is_refusal(refusal())
    assert is_refusal(missing())
    assert not is_refusal(plain_text())


def test_the_log_has_words_without_a_place_in_openssls_source() -> None:
    assert reason(refusal()) == "the peer's certificate is not accepted: unable to get local issuer certificate"
    assert reason(missing()) == "peer did not return a certificate"
    assert reason(plain_text()) == "http request"
