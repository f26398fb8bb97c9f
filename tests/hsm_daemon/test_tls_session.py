"""TLS over memory: pairs of sessions back to back, cut anywhere, damaged anywhere, closed in every state."""

import itertools
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_daemon.tls import client_context, server_context
from hsm_daemon.tls_session import PIECE_BYTES, RECORD_BYTES, TlsSession

NODE, CLIENT = "spiffe://test/node/n", "spiffe://test/client/c"
SIZES = [1, 22, 128, RECORD_BYTES - 1, RECORD_BYTES, RECORD_BYTES + 1, 3 * RECORD_BYTES + 5, 300_000]
_HEADER_BYTES = 5
_MOST_CIPHERTEXT = RECORD_BYTES + 256


class Contexts(NamedTuple):
    """Of two ends that trust each other, and of one that nobody trusts."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    stranger: ssl.SSLContext


@pytest.fixture(scope="module")
def contexts(lasting_authority):
    ours, theirs = lasting_authority("a"), lasting_authority("b")
    files, foreign = ours.issue("n", [NODE]), theirs.issue("c", [CLIENT])
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname = False
    stranger.load_verify_locations(files.ca)
    stranger.load_cert_chain(foreign.certificate, foreign.key)
    return Contexts(server_context(files), client_context(ours.issue("c", [CLIENT])), stranger)


class Pair:
    """Both ends, and what each was told."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        self.server = TlsSession(server, server_side=True)
        self.client = TlsSession(client, server_side=False, server_hostname="127.0.0.1")

    def shake(self) -> "Pair":
        """Shake hands, in whole flights."""
        assert not self.client.shake()
        assert not self.server.shake(self.client.outgoing.read())
        assert self.client.shake(self.server.outgoing.read())
        assert self.server.shake(self.client.outgoing.read())
        assert not self.server.outgoing.pending
        return self


def sent(session: TlsSession, *messages: bytes) -> bytes:
    return b"".join(itertools.chain.from_iterable(session.send_long(each) for each in messages))


def cuts(data: bytes, sizes: Iterator[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


@pytest.fixture
def pair(contexts):
    return Pair(contexts.server, contexts.client).shake()


@pytest.mark.parametrize("size", SIZES)
def test_what_one_end_says_the_other_hears_both_ways(pair, size):
    message = bytes(itertools.islice(itertools.cycle(range(251)), size))
    assert pair.server.receive(sent(pair.client, message)) == message
    assert pair.client.receive(sent(pair.server, message)) == message
    assert pair.client.receive(sent(pair.server, b"a", message, b"b")) == b"a" + message + b"b"
    assert not pair.client.holds
    assert not pair.client.ended


def test_neither_buffer_ever_holds_more_than_a_piece(pair, monkeypatch):
    most = 0

    class Watched:
        """A buffer that notes how much it held."""

        def __init__(self, real):
            self.real = real

        def write(self, data):
            nonlocal most
            written = self.real.write(data)
            most = max(most, self.real.pending)
            return written

        @property
        def pending(self):
            return self.real.pending

    pair.server._incoming = Watched(pair.server._incoming)
    big = bytes(1_000_000)
    written = pair.client.send_long(big)
    assert max(map(len, written)) <= _MOST_CIPHERTEXT + _HEADER_BYTES
    data = b"".join(written)
    heard = b"".join(pair.server.receive(each) for each in cuts(data, itertools.repeat(256 << 10)))
    assert heard == big
    assert most == PIECE_BYTES


def talk(contexts: Contexts, sizes: Iterator[int]) -> None:
    """Have a client shake hands, speak and end, with everything cut as told; the server answers in the middle."""
    pair = Pair(contexts.server, contexts.client)
    said = [b"x" * 7, b"y" * 20_000, b"", b"z"]
    heard: list[bytes] = []
    pair.client.shake()
    shaken = {pair.client: False, pair.server: False}
    while not all(shaken.values()):
        for end, other in ((pair.server, pair.client), (pair.client, pair.server)):
            for part in cuts(other.outgoing.read(), sizes):
                if shaken[end]:
                    heard.append(end.receive(part))
                else:
                    shaken[end] = end.shake(part)
    assert not b"".join(heard)
    data = sent(pair.client, *said)
    pair.client.close()
    data += pair.client.outgoing.read()
    for part in cuts(data, sizes):
        assert not pair.server.ended
        heard.append(pair.server.receive(part))
    assert b"".join(heard) == b"".join(said)
    assert pair.server.ended
    assert pair.client.receive(sent(pair.server, b"still")) == b"still"  # it has no more to say, and may hear
    pair.server.close()
    assert pair.client.receive(pair.server.outgoing.read()) == b""
    assert pair.client.ended


def test_byte_by_byte_is_the_same(contexts):
    talk(contexts, itertools.repeat(1))


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=30))
@settings(max_examples=25)
def test_any_cut_is_the_same(contexts, sizes):
    talk(contexts, itertools.cycle(sizes))


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=60)
def test_a_changed_byte_is_a_fault_and_nothing_that_was_not_said_is_heard(contexts, at, change):
    pair = Pair(contexts.server, contexts.client).shake()
    said = b"a" * 100 + b"b" * 4000
    data = bytearray(sent(pair.client, said[:100], said[100:]) + sent(pair.client, b"c"))
    data[at % len(data)] ^= change
    heard = b""
    with pytest.raises(ssl.SSLError) as failed:
        for number in range(len(data)):
            heard += pair.server.receive(data[number : number + 1])
        raise ssl.SSLError("it waits for a record that is longer")  # a length that was made larger
    assert (said + b"c").startswith(heard)
    assert heard != said + b"c"
    del failed


@given(st.binary(min_size=16, max_size=3000))
@settings(max_examples=60)
def test_garbage_instead_of_a_handshake_fails_or_waits_and_is_never_heard(contexts, garbage):
    server = TlsSession(contexts.server, server_side=True)
    try:
        assert server.shake(garbage) is False
    except ssl.SSLError:
        with pytest.raises(ssl.SSLError):
            server.shake(garbage)


def test_plain_text_fails_at_once(contexts):
    server = TlsSession(contexts.server, server_side=True)
    with pytest.raises(ssl.SSLError):
        server.shake(b"GET / HTTP/1.1\r\n\r\n")


def test_a_record_of_plain_text_in_the_place_of_ciphertext_is_a_fault(pair):
    with pytest.raises(ssl.SSLError):
        pair.server.receive(b"\x17\x03\x03\x00\x05hello")
    assert pair.server.outgoing.pending  # the alert


def test_a_record_above_the_limit_is_a_fault_before_it_has_come(pair):
    header = b"\x17\x03\x03" + (_MOST_CIPHERTEXT + 1).to_bytes(2, "big")
    with pytest.raises(ssl.SSLError):
        pair.server.receive(header + bytes(100))


def test_the_largest_record_is_waited_for(pair):
    assert pair.server.receive(b"\x17\x03\x03" + _MOST_CIPHERTEXT.to_bytes(2, "big") + bytes(100)) == b""


def test_records_that_come_twice_are_a_fault(pair):
    record = pair.client.send(b"once")
    assert pair.server.receive(record) == b"once"
    with pytest.raises(ssl.SSLError):
        pair.server.receive(record)


def test_what_comes_with_the_end_of_the_handshake_is_held_until_it_is_asked_for(contexts):
    pair = Pair(contexts.server, contexts.client)
    pair.client.shake()
    pair.server.shake(pair.client.outgoing.read())
    assert pair.client.shake(pair.server.outgoing.read())
    data = pair.client.outgoing.read() + pair.client.send(b"first")
    assert pair.server.shake(data)
    assert pair.server.holds
    pair.server.hold(pair.client.send(b", second"))
    assert pair.server.receive(pair.client.send(b", third")) == b"first, second, third"
    assert not pair.server.holds


def test_tickets_are_nothing_that_was_said(authority):
    ours = authority("tickets")
    server = server_context(ours.issue("n", [NODE]))
    server.num_tickets = 2
    pair = Pair(server, client_context(ours.issue("c", [CLIENT])))
    pair.client.shake()
    pair.server.shake(pair.client.outgoing.read())
    pair.client.shake(pair.server.outgoing.read())
    assert pair.server.shake(pair.client.outgoing.read())
    tickets = pair.server.outgoing.read()
    assert len(tickets) > 100
    assert pair.client.receive(tickets) == b""
    assert pair.client.receive(pair.server.send(b"x")) == b"x"


def test_who_is_refused_is_told_why(contexts):
    pair = Pair(contexts.server, contexts.stranger)
    pair.client.shake()
    pair.server.shake(pair.client.outgoing.read())
    assert pair.client.shake(pair.server.outgoing.read())
    with pytest.raises(ssl.SSLCertVerificationError):
        pair.server.shake(pair.client.outgoing.read() + pair.client.send(b"nobody hears this"))
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        pair.client.receive(pair.server.outgoing.read())


def test_older_versions_are_refused(contexts):
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    old, server = TlsSession(client, server_side=False), TlsSession(contexts.server, server_side=True)
    old.shake()
    with pytest.raises(ssl.SSLError, match=r"(?i)version|protocol"):
        server.shake(old.outgoing.read())


# ---- closing in each state


def test_closing_before_the_handshake_says_nothing(contexts):
    session = TlsSession(contexts.server, server_side=True)
    session.close()
    assert not session.outgoing.pending


def test_after_closing_nothing_is_sent(pair):
    pair.client.close()
    with pytest.raises(ssl.SSLError):
        pair.client.send(b"too late")


def test_closing_with_something_unheard_still_says_so(pair):
    pair.client.hold(pair.server.send(b"unheard"))
    pair.client.close()
    pair.server.receive(pair.client.outgoing.read())
    assert pair.server.ended


def test_both_may_close_at_once(pair):
    pair.client.close()
    pair.server.close()
    to_server, to_client = pair.client.outgoing.read(), pair.server.outgoing.read()
    assert pair.server.receive(to_server) == b""
    assert pair.client.receive(to_client) == b""
    assert pair.server.ended
    assert pair.client.ended
    pair.client.close()  # once more is nothing
    assert not pair.client.outgoing.pending


@pytest.mark.parametrize("more", [0, 2 * PIECE_BYTES])
def test_what_comes_behind_an_end_is_not_heard(pair, more):
    data = sent(pair.client, bytes(more), b"last")
    pair.client.close()
    data += pair.client.outgoing.read() + b"\x17\x03\x03\x00\x05hello" + bytes(2 * PIECE_BYTES)
    assert pair.server.receive(data) == bytes(more) + b"last"
    assert pair.server.ended


def test_closing_after_a_fault_says_nothing_more(pair):
    with pytest.raises(ssl.SSLError):
        pair.server.receive(b"\x17\x03\x03\x00\x20" + bytes(32))
    pair.server.outgoing.read()
    pair.server.close()
    with pytest.raises(ssl.SSLError):
        pair.server.send(b"x")
