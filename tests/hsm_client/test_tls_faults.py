"""What TLS says, in words and by who can mend it."""

import ssl

import pytest

from hsm_client.errors import ClusterUnreachable, ConfigurationError
from hsm_client.tls_faults import tls_fault


def _alert(reason):
    error = ssl.SSLError(1, f"[SSL: {reason}] something (_ssl.c:2580)")
    error.reason = reason
    return error


def _unverified(code, message=""):
    error = ssl.SSLCertVerificationError(1, "certificate verify failed (_ssl.c:1000)")
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (_alert("SSLV3_ALERT_CERTIFICATE_EXPIRED"), ConfigurationError, "of this client has expired; run `hsmctl dev`"),
        (_alert("TLSV1_ALERT_UNKNOWN_CA"), ConfigurationError, "does not know; use"),
        (_alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), ConfigurationError, "name one in client.toml"),
        (_alert("WRONG_VERSION_NUMBER"), ClusterUnreachable, "failed (wrong version number); check"),
        (_alert(None), ClusterUnreachable, "failed (no reason given); check"),
        (_unverified(10), ClusterUnreachable, "its certificate has expired; "),
        (_unverified(9), ClusterUnreachable, "check the clocks"),
        (_unverified(19), ClusterUnreachable, "another CA than `ca` in client.toml; name"),
        (_unverified(7, "certificate signature failure"), ClusterUnreachable, "certificate signature failure; have"),
    ],
)
def test_each_is_said_in_words_without_the_names_of_a_library(error, kind, words):
    fault = tls_fault("proxy:1", error)
    assert type(fault) is kind
    assert words in str(fault)
    assert "proxy:1" in str(fault)
    assert "_ssl.c" not in str(fault)


def test_what_is_not_of_tls_is_left_alone():
    assert tls_fault("proxy:1", None) is None
    assert tls_fault("proxy:1", ConnectionResetError()) is None
