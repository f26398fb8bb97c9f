"""What a client may do wrong: each has an answer that says so, and no effect on another client."""

import asyncio

import pytest
from proxy_stage import FAST

from hsm_daemon import clock
from hsm_wire import kinds
from hsm_wire.frames import encode_frame
from hsm_wire.messages import Hello, Pong, Welcome, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.net.write_gate import GONE


async def refused(client):
    frame = await client.frame()
    assert frame.kind == kinds.RESPONSE
    assert await client.frame() is None, "the connection ends"
    return Status(frame.status)


async def test_welcome_agrees_on_the_smaller_wishes(stage):
    await stage.start(nodes=1)
    client = await stage.connect(hello=False)
    client.hello(max_in_flight=1000)
    welcome = decode_body(Welcome, (await client.frame()).body)
    assert (welcome.version, welcome.max_frame_bytes, welcome.max_in_flight) == (1, 1 << 20, 256)
    assert welcome.configuration_hash == stage.app.config.cluster.configuration_hash


async def test_ping_is_answered_by_the_proxy(stage):
    await stage.start(nodes=1)
    client = await stage.connect()
    client.send(kinds.PING, b"", request_id=4)
    frame = await client.frame()
    assert (frame.kind, frame.request_id) == (kinds.PONG, 4)
    assert decode_body(Pong, frame.body).window == 256


@pytest.mark.parametrize(
    ("hello", "status"),
    [
        (Hello(2, 9, 1 << 20, 1, "x"), Status.UNSUPPORTED_VERSION),
        (Hello(1, 1, 10, 1, "x"), Status.BAD_REQUEST),
        (None, Status.BAD_REQUEST),
    ],
)
async def test_a_hello_that_makes_no_connection_is_refused(stage, hello, status):
    await stage.start(nodes=1)
    client = await stage.connect(hello=False)
    client.send(kinds.HELLO, encode_body(hello) if hello else b"\xc0")
    assert await refused(client) is status


async def test_bad_clients_do_not_touch_good_ones(stage):
    await stage.start(nodes=1)
    good = await stage.connect()
    wrong = {
        "principal": {"kind": kinds.REQUEST, "request_id": 1, "principal": 7, "opcode": 0x0201},
        "second HELLO": {"kind": kinds.HELLO, "body": encode_body(Hello(1, 1, 1 << 20, 1, "x"))},
        "BIND": {"kind": kinds.BIND},
        "id 0": {"kind": kinds.REQUEST, "opcode": 0x0201},
    }
    for fields in wrong.values():
        bad = await stage.connect()
        kind = fields.pop("kind")
        bad.send(kind, **fields)
        assert await refused(bad) in (Status.DENIED, Status.BAD_REQUEST)
    early = await stage.connect(hello=False)
    early.ask(1)
    assert await refused(early) is Status.BAD_REQUEST
    huge = await stage.connect()
    huge.writer.write(bytes.fromhex("ffffffff 01 03 0000 00000001"))
    assert await refused(huge) is Status.TOO_LARGE
    good.ask(1)
    assert (await good.frame()).status == 0
    assert stage.app.dispatcher.counters.protocol_errors == 6


async def test_a_duplicate_request_id_is_named(stage):
    await stage.start(nodes=1)
    stage.nodes[0].holding = True
    client = await stage.connect()
    client.ask(1)
    client.ask(1)
    assert (await client.frame()).status == Status.DUPLICATE_ID


async def test_more_in_flight_than_agreed_is_overloaded(stage):
    await stage.start(nodes=1)
    stage.nodes[0].holding = True
    client = await stage.connect(max_in_flight=1)
    client.ask(1)
    client.ask(2)
    frame = await client.frame()
    assert (frame.request_id, frame.status, frame.flags) == (2, Status.OVERLOADED, kinds.Flag.NOT_EXECUTED)


async def test_a_client_gone_before_its_answer_harms_nobody(stage):
    await stage.start(nodes=1)
    node = stage.nodes[0]
    node.holding = True
    gone, stays = await stage.connect(), await stage.connect()
    for request_id in range(1, 20):
        gone.ask(request_id)
        stays.ask(request_id)
    await stage.until(lambda: len(node.requests) == 38)
    links = set(node.links)
    gone.reset()
    await stage.until(lambda: len(stage.app.listener.clients) == 1)
    node.release()
    assert all(frame.status == 0 for frame in await stays.frames(19))
    assert links <= node.links
    assert stage.app.dispatcher.counters.late_answers == 19


@pytest.mark.parametrize("goaway", [True, False])
async def test_a_client_that_half_closes_gets_what_it_is_owed(stage, goaway):
    await stage.start(nodes=1)
    stage.nodes[0].holding = True
    client = await stage.connect()
    client.ask(1)
    client.ask(2)
    if goaway:
        client.send(kinds.GOAWAY)
    client.writer.write_eof()
    await stage.until(lambda: len(stage.nodes[0].requests) == 2)
    await asyncio.sleep(0.05)
    stage.nodes[0].release()
    assert sorted(frame.request_id for frame in await client.frames(2)) == [1, 2]
    assert await client.frame() is None
    await stage.until(lambda: not stage.app.listener.clients)


@pytest.mark.parametrize("goaway", [True, False])
@pytest.mark.parametrize("tls", [True, False])
async def test_an_answer_and_the_client_s_end_in_one_turn_lose_nothing(stage, tls, goaway):
    if tls:
        stage.with_tls()
    await stage.start(nodes=1)
    client = await stage.connect(stage.certificate("a", "spiffe://t/client/a") if tls else None)
    (protocol,) = stage.app.listener.clients
    protocol.client.leaving = goaway
    protocol.client.sink(encode_frame(kinds.PONG, b"", request_id=7))
    assert protocol.eof_received() is False
    protocol.client.sink(encode_frame(kinds.PONG, b"", request_id=8))
    protocol.close()
    assert [frame.request_id for frame in await client.frames(2)] == [7, 8]


async def test_a_half_closed_client_that_reads_late_gets_all_of_it(stage):
    await stage.start(nodes=1, settings=FAST + "client_pause_bytes = 65536\n")
    stage.nodes[0].holding = True
    client = await stage.connect()
    client.ask(1)
    await stage.until(lambda: stage.nodes[0].requests)
    (protocol,) = stage.app.listener.clients
    client.writer.transport.pause_reading()
    client.writer.write_eof()
    await stage.until(lambda: protocol.client.leaving)
    for _ in range(100):
        protocol.client.sink(encode_frame(kinds.PONG, bytes(65536)))
    await stage.until(lambda: protocol.unread_for(clock.monotonic()))
    client.writer.transport.resume_reading()
    assert all(frame.kind == kinds.PONG for frame in await client.frames(100))
    stage.nodes[0].release()
    assert (await client.frame()).request_id == 1
    assert await client.frame() is None


async def test_a_hello_while_the_proxy_shuts_down_is_refused_and_delays_nothing(stage):
    await stage.start(nodes=1)
    client = await stage.connect(hello=False)
    busy = await stage.connect()
    stage.nodes[0].holding = True
    busy.ask(1)
    await stage.until(lambda: len(stage.app.listener.clients) == 2 and stage.nodes[0].requests)
    stage.app.dispatcher.leaving = True  # between the connection and its HELLO
    client.hello()
    assert await refused(client) is Status.GOING_AWAY
    stage.nodes[0].release()
    assert (await busy.frame()).status == 0


async def test_a_connection_without_hello_is_told_that_the_proxy_shuts_down(stage):
    await stage.start(nodes=1)
    client = await stage.connect(hello=False)
    await stage.until(lambda: stage.app.listener.clients)
    stage.app.listener.go_away("over")
    assert await refused(client) is Status.GOING_AWAY


async def test_a_request_that_crosses_goaway_is_refused_and_the_one_before_it_answered(stage):
    await stage.start(nodes=1)
    stage.nodes[0].holding = True
    client = await stage.connect()
    client.ask(1)
    await stage.until(lambda: stage.nodes[0].requests)
    (protocol,) = stage.app.listener.clients
    protocol.go_away("this connection only")
    assert (await client.frame()).kind == kinds.GOAWAY
    client.ask(2)
    late = await client.frame()
    assert (late.request_id, late.status, late.flags) == (2, Status.GOING_AWAY, kinds.Flag.NOT_EXECUTED)
    stage.nodes[0].release()
    assert (await client.frame()).request_id == 1
    assert await client.frame() is None
    assert len(stage.nodes[0].requests) == 1


async def test_a_client_beyond_its_limit_is_refused_and_not_read_until_it_has_an_answer(stage):
    await stage.start(nodes=1)
    node = stage.nodes[0]
    node.holding = True
    client = await stage.connect(max_in_flight=2)
    client.ask(1)
    client.ask(2)
    client.ask(3)
    assert ((await client.frame()).status, len(node.requests)) == (Status.OVERLOADED, 2)
    (protocol,) = stage.app.listener.clients
    assert protocol.client.paused
    client.ask(4)
    await asyncio.sleep(0.1)
    assert len(node.requests) == 2
    node.release()
    assert sorted(frame.request_id for frame in await client.frames(2)) == [1, 2]
    await stage.until(lambda: len(node.requests) == 3)
    node.release()
    assert ((await client.frame()).status, protocol.client.paused) == (0, False)


async def test_a_client_at_its_limit_has_its_ping_answered(stage):
    await stage.start(nodes=1)
    node = stage.nodes[0]
    node.holding = True
    client = await stage.connect(max_in_flight=2)
    client.ask(1)
    client.ask(2)
    await stage.until(lambda: len(node.requests) == 2)
    client.send(kinds.PING, b"", request_id=9)
    assert (await client.frame()).kind == kinds.PONG


@pytest.mark.parametrize("kind", [kinds.CANCEL, kinds.PONG, kinds.PING])
async def test_a_flood_that_costs_no_node_anything_is_read_no_faster_than_its_budget(stage, kind):
    await stage.start(nodes=1, settings=FAST + "identity_control_per_s = 5000\nidentity_control_burst = 100\n")
    client = await stage.connect()
    begun = clock.monotonic()
    body = encode_body(Pong(b"b" * 16, 0, 1, 1, 0)) if kind == kinds.PONG else b""
    client.writer.write(encode_frame(kind, body, request_id=1) * 2_000)
    client.ask(2)
    while (frame := await client.frame()).request_id != 2:
        assert frame.kind == kinds.PONG
    assert frame.status == 0
    assert clock.monotonic() - begun >= 0.25
    assert stage.app.dispatcher.counters.clients_paced >= 1


async def test_a_flood_of_status_is_read_no_faster_than_its_budget(stage):
    await stage.start(nodes=1, settings=FAST + "identity_control_per_s = 1000\nidentity_control_burst = 20\n")
    client = await stage.connect()
    begun = clock.monotonic()
    for number in range(1, 12):
        client.ask(number, opcode=int(Opcode.STATUS))
        assert (await client.frame()).status == 0
    assert clock.monotonic() - begun >= 0.1
    assert stage.app.dispatcher.counters.clients_paced >= 1


async def test_a_frame_that_does_not_come_to_its_end_costs_its_client_the_connection(stage):
    await stage.start(nodes=1, settings=FAST + "frame_s = 0.3\n")
    client = await stage.connect()
    client.writer.write(encode_frame(kinds.REQUEST, bytes(200), request_id=1, opcode=0x0201)[:-1])
    assert await client.frame() is None
    assert stage.app.dispatcher.counters.clients_closed_unfinished == 1


async def test_clients_that_hold_most_of_too_many_unfinished_bytes_are_closed(stage):
    await stage.start(nodes=1, settings=FAST + "unfinished_bytes = 65536\n")
    small, large = await stage.connect(), await stage.connect()
    frame = encode_frame(kinds.REQUEST, bytes(100_000), request_id=1, opcode=0x0201)
    small.writer.write(frame[:1000])
    large.writer.write(frame[:-1])
    assert await large.frame() is None
    small.writer.write(frame[1000:])
    assert (await small.frame()).request_id == 1
    assert stage.app.dispatcher.counters.clients_closed_unfinished == 1


async def test_a_client_that_says_goaway_gets_its_answers_and_the_end(stage):
    await stage.start(nodes=1)
    stage.nodes[0].holding = True
    client = await stage.connect()
    client.ask(1)
    client.send(kinds.GOAWAY)
    await stage.until(lambda: stage.nodes[0].requests)
    stage.nodes[0].release()
    assert (await client.frame()).request_id == 1
    assert await client.frame() is None


async def test_cancel_reaches_the_node(stage):
    await stage.start(nodes=1)
    stage.nodes[0].holding = True
    client = await stage.connect()
    client.ask(1)
    client.send(kinds.CANCEL, b"", request_id=1)
    client.ask(2)
    await stage.until(lambda: len(stage.nodes[0].requests) == 2)
    stage.nodes[0].release()
    assert sorted(frame.request_id for frame in await client.frames(2)) == [1, 2]


async def test_a_client_that_does_not_read_its_answers_is_closed(stage):
    await stage.start(nodes=1, settings=FAST + "client_unread_bytes = 65536\n")
    stage.nodes[0].window = 256
    client = await stage.connect(max_in_flight=256)
    client.writer.transport.pause_reading()
    app = stage.app
    (protocol,) = app.listener.clients
    for _ in range(400):
        protocol.client.sink(bytes(65536))
    await stage.until(lambda: app.dispatcher.counters.clients_closed_unread == 1)
    await stage.until(lambda: not app.listener.clients)
    other = await stage.connect()
    other.ask(1)
    assert (await other.frame()).status == 0


async def test_what_still_waits_for_a_client_that_has_gone_holds_no_buffers(stage):
    await stage.start(nodes=1)
    stage.nodes[0].holding = True
    client = await stage.connect()
    client.ask(1)
    await stage.until(lambda: stage.nodes[0].requests)
    (protocol,) = stage.app.listener.clients
    gate, owed_to = protocol._gate, protocol.client
    protocol.abort()  # as its end is seen with TLS; in plain TCP a closed client may be a half-closed one
    await stage.until(lambda: not stage.app.listener.clients)
    owed_to.sink(b"late")
    assert (gate._transport, gate._pending) == (GONE, [])
    assert (protocol._gate, protocol._transport, owed_to.resume, owed_to.drained) == (None, None, None, None)


async def test_a_request_in_one_read_with_hello_is_a_fault_that_leaves_nothing_behind(stage):
    await stage.start(nodes=1)
    client = await stage.connect(hello=False)
    hello = encode_frame(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 8, "hasty")))
    client.writer.write(hello + encode_frame(kinds.REQUEST, b"\x90", request_id=1, opcode=0x0201))
    assert await refused(client) is Status.BAD_REQUEST
    await stage.until(lambda: not stage.app.listener.clients)
    assert stage.app.listener._principals.users("spiffe://t/client/a") == 0
