"""The TLS transport between a protocol and a raw transport that only notes what is done to it: every state and end."""

import asyncio
import gc
import ssl
import weakref
from typing import Any

import pytest

from hsm_daemon import tls_transport
from hsm_daemon.read_buffer import read_buffer
from hsm_daemon.tls import TlsLimits, client_context, server_context
from hsm_daemon.tls_session import PIECE_BYTES, RECORD_BYTES, TlsSession
from hsm_daemon.tls_transport import TlsTransport

NODE, CLIENT = "spiffe://test/node/n", "spiffe://test/client/c"
LONG = TlsLimits(60.0, 60.0)


class Raw:
    """The loop's transport."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.calls = 0
        self.closed = self.aborted = self.paused = False
        self.waiting = 0

    def write(self, data: bytes) -> None:
        self.calls += 1
        self.sent.append(data)

    def writelines(self, data: list[bytes]) -> None:
        self.calls += 1
        self.sent += data

    def take(self) -> bytes:
        taken, self.sent = b"".join(self.sent), []
        return taken

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, 1000

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": ("192.0.2.1", 5)}.get(name, default)


class Heard(asyncio.Protocol):
    """Notes everything, and does what a test wants it to."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.transport: Any = None
        self.on_made: Any = lambda: None
        self.on_data: Any = lambda: None
        self.on_eof: Any = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.log.append("made")
        self.on_made()

    def data_received(self, data: bytes) -> None:
        self.log.append(data)
        self.on_data()

    def eof_received(self) -> None:
        self.log.append("eof")
        self.on_eof()

    def pause_writing(self) -> None:
        self.log.append("pause")

    def resume_writing(self) -> None:
        self.log.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.log.append(("lost", exc))


class Stage:
    """A transport of ours with both its neighbours, and the session of the peer."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, limits: TlsLimits, *, serves: bool) -> None:
        self.protocol, self.raw = Heard(), Raw()
        self.begun = False
        session = TlsSession(server if serves else client, server_side=serves)
        self.peer = TlsSession(client if serves else server, server_side=not serves)
        self.tls = TlsTransport(self.protocol, session, limits)

    def feed(self, data: bytes) -> None:
        """Have the loop read that, as much at a time as there is room for."""
        while data:
            room = self.tls.get_buffer(-1)
            part, data = data[: len(room)], data[len(room) :]
            room[: len(part)] = part
            self.tls.buffer_updated(len(part))
            self.tls.get_buffer(-1)[:] = bytes(len(self.tls.get_buffer(-1)))  # the next one reads over it

    def begin(self) -> None:
        self.begun = True
        self.tls.connection_made(self.raw)  # type: ignore[arg-type]  # one by what it does

    def shake(self, behind: bytes = b"") -> None:
        """Shake hands, with what the peer says right behind."""
        if not self.begun:
            self.begin()
        if self.peer.server_side:
            self.peer.shake(self.raw.take())
            self.feed(self.peer.outgoing.read())
            assert self.peer.shake(self.raw.take())
            if behind:
                self.say(behind)
        else:
            self.peer.shake()
            self.feed(self.peer.outgoing.read())
            assert self.peer.shake(self.raw.take())
            data = self.peer.outgoing.read()
            self.feed(data + (b"".join(self.peer.send_long(behind)) if behind else b""))

    def say(self, data: bytes) -> None:
        self.feed(b"".join(self.peer.send_long(data)))

    def hear(self) -> bytes:
        return self.peer.receive(self.raw.take())

    def lose(self, exc: Exception | None = None) -> None:
        """End the connection as the loop does."""
        self.raw.closed = True
        self.tls.connection_lost(exc)


@pytest.fixture(scope="module")
def contexts(lasting_authority):
    ours = lasting_authority("a")
    return server_context(ours.issue("n", [NODE])), client_context(ours.issue("c", [CLIENT]))


@pytest.fixture(params=[True, False], ids=["server", "client"])
async def stage(contexts, request):
    made = Stage(*contexts, LONG, serves=request.param)
    yield made
    if not made.raw.closed or made.tls._timer is not None:
        made.lose()


@pytest.fixture
async def server(contexts):
    made = Stage(*contexts, LONG, serves=True)
    yield made
    made.lose()


async def test_the_protocol_hears_of_the_connection_when_the_handshake_is_done(stage):
    stage.begin()
    assert not stage.tls.shaken.done()
    assert stage.protocol.log == []
    assert stage.tls.is_closing()  # nothing can be sent yet
    stage.tls.write(b"too early")
    stage.shake()
    assert stage.protocol.log == ["made"]
    assert stage.protocol.transport is stage.tls
    assert stage.tls.shaken.result() is None
    assert not stage.tls.is_closing()
    assert stage.tls._timer is None
    assert stage.hear() == b""


@pytest.mark.parametrize("size", [1, 128, RECORD_BYTES, RECORD_BYTES + 1, 1_000_000])
async def test_a_write_is_one_call_and_a_read_is_one_delivery(stage, size):
    stage.shake()
    stage.raw.take()
    stage.raw.calls = 0
    message = b"m" * size
    stage.tls.write(message)
    assert stage.raw.calls == 1
    assert stage.hear() == message
    stage.tls.writelines([b"a", memoryview(b"b"), bytearray(b"c")])
    assert stage.raw.calls == 2
    assert stage.hear() == b"abc"
    stage.tls.write(b"")
    assert stage.raw.calls == 2
    stage.say(message)
    assert b"".join(stage.protocol.log[1:]) == message
    assert len(stage.protocol.log) == 1 + -(
        -(size + 22 * -(-size // RECORD_BYTES)) // len(read_buffer(asyncio.get_running_loop()))
    )


async def test_what_comes_right_behind_the_handshake_is_delivered_after_the_greeting(stage):
    stage.shake(behind=b"eager")
    assert stage.protocol.log == ["made", b"eager"]


async def test_before_the_handshake_no_more_is_read_than_a_piece(stage):
    assert len(stage.tls.get_buffer(-1)) == PIECE_BYTES
    stage.shake()
    assert stage.tls.get_buffer(-1) is read_buffer(asyncio.get_running_loop())


async def test_whoever_is_paused_at_once_hears_nothing_until_it_resumes(server):
    server.protocol.on_made = lambda: server.tls.pause_reading()
    server.shake(behind=b"eager" * 4000)
    server.say(b"!")
    assert server.protocol.log == ["made"]
    assert server.raw.paused
    server.tls.resume_reading()
    assert not server.raw.paused
    server.tls.pause_reading()
    server.tls.resume_reading()
    assert server.protocol.log == ["made"]  # not from within the call
    await asyncio.sleep(0)
    assert server.protocol.log == ["made", b"eager" * 4000 + b"!"]


async def test_pausing_twice_and_resuming_without_a_pause_are_nothing(stage):
    stage.shake()
    stage.raw.paused = True
    stage.tls.resume_reading()
    assert stage.raw.paused
    stage.tls.pause_reading()
    stage.tls.pause_reading()
    stage.tls.resume_reading()
    assert not stage.raw.paused


async def test_who_pauses_again_before_the_next_turn_hears_nothing(server):
    server.protocol.on_made = lambda: server.tls.pause_reading()
    server.shake(behind=b"eager")
    server.tls.resume_reading()
    server.tls.pause_reading()
    await asyncio.sleep(0)
    assert server.protocol.log == ["made"]


async def test_a_protocol_that_aborts_at_the_greeting_hears_no_more(server):
    server.protocol.on_made = lambda: server.tls.abort()
    server.shake(behind=b"eager")
    assert server.raw.aborted
    server.say(b"more")
    server.lose()
    assert server.protocol.log == ["made", ("lost", None)]


async def test_the_loop_has_the_protocol_pause_and_go_on(stage):
    stage.tls.pause_writing()
    stage.tls.resume_writing()
    stage.shake()
    stage.tls.pause_writing()
    stage.tls.resume_writing()
    stage.tls.close()
    stage.tls.pause_writing()
    stage.tls.resume_writing()
    assert stage.protocol.log == ["made", "pause", "resume"]


async def test_closing_says_so_waits_for_the_peer_and_hears_nothing_more(stage):
    stage.shake()
    stage.tls.pause_reading()
    stage.tls.write(b"last")
    stage.tls.close()
    stage.tls.close()
    assert stage.tls.is_closing()
    assert not stage.raw.closed
    assert not stage.raw.paused  # else the peer's end would not be seen
    assert stage.hear() == b"last"
    assert stage.peer.ended
    stage.tls.write(b"too late")
    stage.tls.pause_reading()
    assert stage.raw.take() == b""
    stage.say(b"ignored" * 10_000)
    assert not stage.raw.closed
    stage.peer.close()
    stage.feed(stage.peer.outgoing.read())
    assert stage.raw.closed
    assert not stage.raw.aborted
    stage.lose()
    assert stage.protocol.log == ["made", ("lost", None)]


async def test_the_peers_end_is_told_answered_and_closed(stage):
    stage.shake()
    stage.raw.take()
    stage.protocol.on_eof = lambda: stage.tls.write(b"answer")
    data = stage.peer.send(b"question")
    stage.peer.close()
    stage.feed(data + stage.peer.outgoing.read())
    assert stage.protocol.log == ["made", b"question", "eof"]
    assert stage.raw.closed
    assert stage.hear() == b"answer"
    assert stage.peer.ended
    stage.lose()
    assert stage.protocol.log[-1] == ("lost", None)


async def test_a_protocol_that_closes_while_it_hears_is_not_told_of_the_end(stage):
    stage.shake()
    stage.protocol.on_data = lambda: stage.tls.close()
    data = stage.peer.send(b"question")
    stage.peer.close()
    stage.feed(data + stage.peer.outgoing.read())
    assert stage.protocol.log == ["made", b"question"]
    assert stage.raw.closed


async def test_an_end_without_close_notify_is_no_end_of_what_was_said(stage):
    stage.shake()
    stage.say(b"whole")
    stage.feed(stage.peer.send(b"cut")[:-1])
    assert stage.tls.eof_received() is False
    assert stage.tls.is_closing()
    stage.tls.write(b"nobody hears this")
    stage.lose()
    assert stage.protocol.log == ["made", b"whole", ("lost", None)]


async def test_damage_drops_the_connection_with_an_alert_and_the_reason(stage):
    stage.shake()
    stage.raw.take()
    stage.say(b"good")
    stage.feed(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert stage.raw.aborted
    with pytest.raises(ssl.SSLError, match=r"(?i)alert|mac"):
        stage.hear()
    stage.feed(stage.peer.outgoing.read() or b"x")
    stage.lose()
    assert stage.protocol.log[:2] == ["made", b"good"]
    assert isinstance(stage.protocol.log[2][1], ssl.SSLError)
    assert len(stage.protocol.log) == 3


async def test_damage_while_closing_ends_it(stage):
    stage.shake()
    stage.tls.close()
    stage.feed(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert stage.raw.aborted


async def test_a_session_that_is_broken_drops_the_connection_and_raises_nothing(stage):
    stage.shake()
    stage.tls._session.close()  # behind the transport's back
    stage.tls.write(b"x")
    assert stage.raw.aborted
    stage.lose()
    assert isinstance(stage.protocol.log[-1][1], ssl.SSLError)


async def test_the_end_of_the_peer_in_the_handshake_is_no_connection(stage):
    stage.begin()
    assert stage.tls.eof_received() is False
    stage.lose()
    assert isinstance(stage.tls.shaken.exception(), ConnectionResetError)
    assert stage.protocol.log == []


async def test_closing_or_losing_in_the_handshake_is_no_connection(stage):
    stage.begin()
    stage.tls.close()
    assert stage.raw.aborted
    stage.lose(BrokenPipeError("gone"))
    assert isinstance(stage.tls.shaken.exception(), BrokenPipeError)
    assert stage.protocol.log == []
    stage.tls.abort()  # nothing is left of it


async def test_garbage_in_the_handshake_is_answered_by_an_alert_and_the_end(stage):
    stage.begin()
    stage.raw.take()
    stage.feed(b"\x16\x03\x01\x00\x05hello")
    assert stage.raw.closed
    stage.lose()
    assert isinstance(stage.tls.shaken.exception(), ssl.SSLError)
    assert stage.protocol.log == []


async def test_who_waits_no_more_for_the_handshake_gets_no_connection(stage):
    stage.tls.shaken.cancel()
    stage.tls.abort()  # before there is anything to abort
    stage.begin()
    assert stage.raw.aborted
    stage.lose()
    assert stage.protocol.log == []


async def test_a_refused_certificate_is_told_and_has_its_time_to_be_read(contexts, lasting_authority):
    foreign = lasting_authority("b").issue("c", [CLIENT])
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname = False
    stranger.verify_mode = ssl.CERT_NONE
    stranger.load_cert_chain(foreign.certificate, foreign.key)
    stage = Stage(contexts[0], stranger, LONG, serves=True)
    stage.shake(behind=b"nobody hears this")
    assert not stage.raw.closed
    stage.feed(b"nor this")
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        stage.hear()
    assert stage.tls.eof_received() is False
    stage.lose()
    assert isinstance(stage.tls.shaken.exception(), ssl.SSLCertVerificationError)
    assert stage.protocol.log == []


async def test_a_server_that_is_not_trusted_is_told_and_left(contexts, lasting_authority):
    ours = lasting_authority("c")
    stage = Stage(contexts[0], client_context(ours.issue("c", [CLIENT])), LONG, serves=False)
    stage.begin()
    stage.peer.shake(stage.raw.take())
    stage.feed(stage.peer.outgoing.read())
    assert stage.raw.closed
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        stage.peer.shake(stage.raw.take())
    stage.lose()
    assert isinstance(stage.tls.shaken.exception(), ssl.SSLCertVerificationError)
    assert stage.protocol.log == []


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_handshake_has_its_time(contexts):
    stage = Stage(*contexts, TlsLimits(0.01, 60.0), serves=True)
    stage.begin()
    await until(lambda: stage.raw.aborted)
    stage.lose()
    assert isinstance(stage.tls.shaken.exception(), ConnectionAbortedError)


async def test_closing_has_its_time_too(contexts):
    stage = Stage(*contexts, TlsLimits(60.0, 0.01), serves=True)
    stage.shake()
    stage.tls.close()
    await until(lambda: stage.raw.aborted)
    stage.lose()
    assert stage.protocol.log == ["made", ("lost", None)]


async def test_what_openssl_answers_by_itself_is_sent_and_bounded(stage):
    stage.shake()
    stage.raw.take()
    stage.tls._session.outgoing.write(b"new keys")
    stage.say(b"x")
    assert stage.raw.take() == b"new keys"
    stage.raw.waiting = tls_transport.UNASKED_BYTES + 1000
    stage.say(b"y")
    assert not stage.raw.closed  # they are answers of ours that wait
    stage.tls._session.outgoing.write(b"new keys")
    stage.raw.waiting += 1
    stage.say(b"z")
    assert stage.raw.aborted
    stage.lose()
    assert isinstance(stage.protocol.log[-1][1], ConnectionAbortedError)


async def test_it_tells_what_is_known(stage):
    stage.shake()
    tls = stage.tls.get_extra_info("ssl_object")
    assert isinstance(tls, ssl.SSLObject)
    assert stage.tls.get_extra_info("sslcontext") is tls.context
    assert stage.tls.get_extra_info("cipher")[1] == "TLSv1.3"
    assert stage.tls.get_extra_info("peercert")["subjectAltName"][0][0] == "URI"
    assert stage.tls.get_extra_info("peername") == ("192.0.2.1", 5)
    assert stage.tls.get_extra_info("socket", "none") == "none"


async def test_nothing_of_a_connection_waits_for_the_collector(stage):
    stage.shake()
    stage.say(b"x")
    stage.tls.close()
    stage.lose()
    gone = weakref.ref(stage.tls._session.tls)
    gc.disable()
    try:
        stage.protocol.transport = stage.tls = None
        stage.protocol.on_made = stage.protocol.on_data = stage.protocol.on_eof = None
        assert gone() is None
    finally:
        gc.enable()
        stage.tls = TlsTransport(Heard(), stage.peer, LONG)  # for the fixture
