"""Who is let in, how many, and for how long without a word."""

import asyncio
import ssl

import msgspec
import pytest
from fake_transport import FakeTransport
from proxy_stage import FAST, Authority

from hsm_daemon import clock
from hsm_daemon.tls import peer_identity, server_context
from hsm_wire import kinds
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.messages import Failure, decode_body
from hsm_wire.statuses import Status
from proxy.net.client_protocol import ClientProtocol


@pytest.mark.parametrize("identity", ["spiffe://t/client/a", "spiffe://t/operator/o"])
async def test_a_client_of_the_cluster_is_served_under_its_identity(stage, identity):
    stage.with_tls()
    await stage.start(nodes=1)
    client = await stage.connect(stage.certificate("a", identity))
    client.ask(1)
    assert (await client.frame()).status == 0
    (bind,) = (bind for bind in stage.nodes[0].binds.values() if "/proxy/" not in bind.identity)
    assert (bind.identity, len(bind.certificate_sha256)) == (identity, 32)
    assert bind.not_after > 1_700_000_000
    assert (bind.partition, bind.roles) == ((1, ["use"]) if "client" in identity else (0, ["operate"]))


@pytest.mark.parametrize(
    "identity", ["spiffe://t/client/stranger", "spiffe://t/node/node-1", "spiffe://other/client/a", None]
)
async def test_any_other_identity_is_denied(stage, identity):
    stage.with_tls()
    await stage.start(nodes=1)
    client = await stage.connect(stage.certificate("b", identity), hello=False)
    client.hello()
    frame = await client.frame()
    assert (frame.request_id, frame.status) == (0, Status.DENIED)
    assert "not a client of this cluster" in decode_body(Failure, frame.body).detail
    assert await client.frame() is None


async def test_a_certificate_of_a_foreign_authority_gets_nowhere(stage, tmp_path):
    stage.with_tls()
    await stage.start(nodes=1)
    foreign = Authority(tmp_path, "foreign").issue("f", "spiffe://t/client/a")
    mixed = type(foreign)(stage.tls.ca, foreign.certificate, foreign.key)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError, AttributeError)):
        await stage.connect(mixed)


async def test_plain_text_on_the_tls_port_gets_nowhere(stage):
    stage.with_tls()
    await stage.start(nodes=1)
    client = await stage.connect(hello=False)
    client.hello()
    assert await client.frame() is None
    assert not stage.app.listener.clients


async def test_a_connection_without_hello_is_closed(stage):
    await stage.start(nodes=1)
    client = await stage.connect(hello=False)
    assert await client.frame() is None


async def test_connections_above_the_limit_are_closed_unheard_and_counted(stage):
    await stage.start(nodes=1)
    clients = [await stage.connect() for _ in range(20)]
    refused = await stage.connect(hello=False)
    assert await refused.frame() is None
    counters = stage.app.dispatcher.counters
    assert (stage.app.listener.refused, counters.clients_refused) == (1, 1)
    text = (await stage.get("/metrics"))[1].decode()
    assert "hsm_proxy_connections_refused_total 1.0" in text
    await clients[0].close()
    await stage.until(lambda: len(stage.app.listener.clients) == 19)
    await stage.connect()


async def test_a_connection_above_a_limit_that_was_lowered_meanwhile_has_an_answer(stage):
    stage.with_tls()
    await stage.start(nodes=1)
    protocol = ClientProtocol(stage.app.listener)
    limits = stage.app.settings.limits
    transport = FakeTransport()
    stage.app.settings.limits = msgspec.structs.replace(limits, clients=1)
    await stage.connect(stage.certificate("a", "spiffe://t/client/a"))
    protocol.connection_made(transport)
    (frame,) = FrameSplitter(1 << 20).split(b"".join(transport.written))
    assert frame.status == Status.OVERLOADED
    assert transport.closed
    protocol.connection_lost(None)


async def test_failed_handshakes_are_counted(stage, tmp_path):
    stage.with_tls()
    await stage.start(nodes=1)
    client = await stage.connect(hello=False)
    client.hello()
    assert await client.frame() is None
    await stage.until(lambda: stage.app.listener.handshakes_failed == 1)
    assert "hsm_proxy_handshakes_failed_total 1.0" in (await stage.get("/metrics"))[1].decode()


async def test_handshakes_keep_to_the_pace_and_all_are_served(stage):
    stage.with_tls()
    await stage.start(nodes=1, settings=FAST + "handshakes_per_s = 100\nhandshakes_burst = 1\nhandshakes_at_once = 2\n")
    files = stage.certificate("a", "spiffe://t/client/a")
    began = clock.monotonic()
    clients = await asyncio.gather(*(stage.connect(files) for _ in range(11)))
    assert clock.monotonic() - began >= 0.09
    for client in clients:
        client.ask(1)
        assert (await client.frame()).status == 0


async def test_one_identity_has_so_many_connections_whatever_its_certificates(stage):
    stage.with_tls()
    await stage.start(nodes=1, settings=FAST + "identity_clients = 2\n")
    first, second = (stage.certificate(name, "spiffe://t/client/a") for name in "ab")
    kept = [await stage.connect(first), await stage.connect(second)]
    refused = await stage.connect(second, hello=False)
    refused.hello()
    assert (await refused.frame()).status == Status.OVERLOADED
    assert await refused.frame() is None
    operator = await stage.connect(stage.certificate("o", "spiffe://t/operator/o"))
    operator.ask(1)
    assert (await operator.frame()).status == 0
    await kept[0].close()
    await stage.until(lambda: len(stage.app.listener.clients) == 2)
    await stage.connect(second)


async def test_a_client_that_asks_for_nothing_is_sent_away_and_one_that_is_owed_an_answer_is_not(stage):
    await stage.start(nodes=1, settings=FAST + "idle_s = 0.3\n")
    stage.nodes[0].holding = True
    idle, owed = await stage.connect(), await stage.connect()
    owed.ask(1)
    assert (await idle.frame()).kind == kinds.GOAWAY
    assert await idle.frame() is None
    await stage.until(lambda: len(stage.app.listener.clients) == 1)
    stage.nodes[0].release()
    assert (await owed.frame()).request_id == 1
    assert stage.app.dispatcher.counters.clients_closed_idle == 1


@pytest.mark.parametrize("tls", [False, True])
async def test_a_client_that_leaves_answers_unread_for_too_long_is_closed(stage, tls):
    if tls:
        stage.with_tls()
    await stage.start(nodes=1, settings=FAST + "client_unread_s = 0.3\nclient_pause_bytes = 65536\n")
    client = await stage.connect(stage.certificate("a", "spiffe://t/client/a") if tls else None)
    client.writer.transport.pause_reading()
    (protocol,) = stage.app.listener.clients
    await fill(protocol)
    await stage.until(lambda: stage.app.dispatcher.counters.clients_closed_unread == 1)
    await stage.until(lambda: not stage.app.listener.clients)


async def test_a_client_that_reads_again_in_time_is_read_again(stage):
    await stage.start(nodes=1, settings=FAST + "client_unread_s = 5\nclient_pause_bytes = 65536\n")
    client = await stage.connect()
    client.writer.transport.pause_reading()
    (protocol,) = stage.app.listener.clients
    await fill(protocol)
    client.ask(1)
    await asyncio.sleep(0.1)
    assert not stage.nodes[0].requests, "a client that does not read is not read"
    client.writer.transport.resume_reading()
    frame = await client.frame()
    while frame.kind == kinds.PONG:
        frame = await client.frame()
    assert (frame.request_id, frame.status) == (1, 0)


def lines(caplog, event, word):
    found = [record.fields for record in caplog.records if record.message == event]
    return [fields for fields in found if word in fields["reason"]]


async def test_a_crowd_of_one_identity_is_a_line_a_second_that_names_the_limit(stage, caplog):
    await stage.start(nodes=1, settings=FAST + "identity_clients = 1\n")
    await stage.connect()
    for _ in range(5):
        refused = await stage.connect(hello=False)
        refused.hello()
        assert (await refused.frame()).status == Status.OVERLOADED
    assert stage.app.dispatcher.counters.clients_refused == 5
    found = lines(caplog, "client refused", "identity_clients")
    assert 1 <= len(found) < 5
    assert found[0]["identity"] == "spiffe://t/client/a"
    assert found[0]["peer"]


async def test_who_is_sent_away_because_it_is_idle_is_in_the_log(stage, caplog):
    caplog.set_level("INFO")
    await stage.start(nodes=1, settings=FAST + "idle_s = 0.3\n")
    clients = [await stage.connect() for _ in range(4)]
    assert {(await client.frame()).kind for client in clients} == {kinds.GOAWAY}
    found = lines(caplog, "client sent away", "idle_s")
    assert 1 <= len(found) < 4
    assert found[0]["identity"] == "spiffe://t/client/a"


async def fill(protocol):
    """Send until what lies between both ends is full too, and nothing moves."""
    async with asyncio.timeout(10):
        while protocol.unread_for(clock.monotonic()) < 0.1:
            if not protocol.unread_for(clock.monotonic()):
                protocol.client.sink(encode_frame(kinds.PONG, bytes(65536)))
            await asyncio.sleep(0.001)


async def test_certificates_are_replaced_for_new_connections_and_old_ones_live_on(stage):
    stage.with_tls()
    await stage.start(nodes=1)
    files = stage.certificate("a", "spiffe://t/client/a")
    old = await stage.connect(files)
    stage.app.listener.replace_context(server_context(stage.certificate("new", "spiffe://t/proxy/proxy-2")))
    new = await stage.connect(files)
    assert [peer_identity(client.writer.transport).identity[-1] for client in (old, new)] == ["1", "2"]
    old.ask(1)
    assert (await old.frame()).status == 0


async def test_clients_are_sent_away_one_after_the_other_and_served_until_then(stage):
    await stage.start(nodes=1)
    clients = [await stage.connect() for _ in range(8)]
    stage.app.listener.go_away("this proxy is shutting down")
    told = [protocol.client.leaving for protocol in stage.app.listener.clients]
    assert told.count(True) == 2
    (waiting, *_) = [protocol for protocol in stage.app.listener.clients if not protocol.client.leaving]
    (client,) = [c for c in clients if str(c.writer.get_extra_info("sockname")) == waiting.peer]
    client.ask(1)
    frames = [await client.frame() for _ in range(2)]
    assert {frame.kind for frame in frames} == {kinds.RESPONSE, kinds.GOAWAY}
    assert next(frame.status for frame in frames if frame.kind == kinds.RESPONSE) == 0
    await stage.until(lambda: not stage.app.listener.clients)


async def test_who_has_other_grants_and_who_is_idle_leave_a_few_in_each_beat_too(stage):
    await stage.start(nodes=1)
    for _ in range(8):
        await stage.connect()
    listener = stage.app.listener
    stage.app._ticker.stop()

    def told():
        return [protocol.client.leaving for protocol in listener.clients].count(True)

    assert listener.reconfigured(stage.app.config.cluster, "spiffe://t/operator/o") == 8
    assert told() == 0
    listener.tick(clock.monotonic())
    assert told() == 2
    listener.tick(clock.monotonic() + stage.app.settings.limits.idle_s + 1)
    listener.tick(clock.monotonic())
    assert told() == 6
    assert stage.app.dispatcher.counters.clients_closed_idle == 0, "those that wait for their turn do not count twice"
    stage.app._ticker.start()
    await stage.until(lambda: not listener.clients)


async def test_who_may_do_less_than_before_goes_at_once(stage):
    await stage.start(nodes=1)
    for _ in range(5):
        await stage.connect()
    listener = stage.app.listener
    stage.app._ticker.stop()

    class Strict:
        """A cluster that grants nobody anything."""

        configuration_hash = "other"

        def principal_of(self, identity):
            return None

    assert listener.reconfigured(Strict(), None) == 5
    assert [protocol.client.leaving for protocol in listener.clients] == [True] * 5
    stage.app._ticker.start()
    await stage.until(lambda: not listener.clients)


async def test_idle_clients_are_counted_once_and_told_in_turn(stage):
    await stage.start(nodes=1)
    clients = [await stage.connect() for _ in range(8)]
    listener = stage.app.listener
    stage.app._ticker.stop()
    later = clock.monotonic() + stage.app.settings.limits.idle_s + 1
    for beat in range(1, 6):
        listener.tick(later + beat)
        told = [protocol.client.leaving for protocol in listener.clients].count(True)
        assert told == min(8, 2 * (beat - 1))
    assert stage.app.dispatcher.counters.clients_closed_idle == 8
    stage.app._ticker.start()
    assert {(await client.frame()).kind for client in clients} == {kinds.GOAWAY}
