"""A failed handshake over memory: the alert leaves, the log knows, the second call fails."""

import logging
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from hsm_daemon.handshake import TellingSslObject
from hsm_daemon.tls import client_context, server_context

NODE, CLIENT = "spiffe://test/node/n", "spiffe://test/client/c"


class Pair:
    """Both ends of a TLS connection in memory."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        self.to_server, self.to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server.wrap_bio(self.to_server, self.to_client, server_side=True)
        self.client = client.wrap_bio(self.to_client, self.to_server)

    def greet(self) -> None:
        """Client's first words, server's answer, client's certificate."""
        for end in (self.client, self.server):
            with pytest.raises(ssl.SSLWantReadError):
                end.do_handshake()
        self.client.do_handshake()


def test_a_foreign_certificate_is_told_by_an_alert_and_fails_at_the_second_call(
    authority: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = authority("a"), authority("b")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    server_files, foreign = ours.issue("n", [NODE]), theirs.issue("c", [CLIENT])
    client.load_verify_locations(server_files.ca)
    client.load_cert_chain(foreign.certificate, foreign.key)
    pair = Pair(server_context(server_files), client)
    pair.greet()
    with caplog.at_level(logging.WARNING), pytest.raises(ssl.SSLWantReadError):
        pair.server.do_handshake()
    assert "a TLS handshake failed" in caplog.text
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        pair.client.read(1)
    with pytest.raises(ssl.SSLCertVerificationError):
        pair.server.do_handshake()


def test_a_good_handshake_is_left_alone(authority: Callable[[str], Any]) -> None:
    ours = authority("a")
    pair = Pair(server_context(ours.issue("n", [NODE])), client_context(ours.issue("c", [CLIENT])))
    pair.greet()
    pair.server.do_handshake()
    assert isinstance(pair.server, TellingSslObject)
    pair.client.write(b"x")
    assert pair.server.read(1) == b"x"


def test_plain_text_fails_at_once_and_is_logged(
    authority: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    ours = authority("a")
    pair = Pair(server_context(ours.issue("n", [NODE])), client_context(ours.issue("c", [CLIENT])))
    pair.to_server.write(b"GET / HTTP/1.1\r\n\r\n")
    with caplog.at_level(logging.WARNING), pytest.raises(ssl.SSLError) as failed:
        pair.server.do_handshake()
    assert not isinstance(failed.value, ssl.SSLWantReadError)
    assert "a TLS handshake failed" in caplog.text
