"""When a client is read: each reason to wait by itself, and all of them together."""

import asyncio
import random

import pytest

from hsm_daemon import clock
from hsm_wire import kinds
from hsm_wire.connection import Connection
from hsm_wire.frames import encode_frame
from hsm_wire.messages import Bind, Hello, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.states import End
from proxy.core.counters import Counters
from proxy.core.nodes.node_table import NodeTable
from proxy.core.parties import Client
from proxy.core.principals import Bound
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import Settings
from proxy.net.intake import PIECE_BYTES, Intake

PING = encode_frame(kinds.PING, b"", request_id=1)


def request(number, opcode=Opcode.SIGN):
    return encode_frame(kinds.REQUEST, b"\x90", request_id=number, opcode=opcode)


def dispatcher(counters):
    """One without nodes: its requests wait."""
    settings = Settings()
    table = NodeTable([], settings, 0.0)
    balancer = Balancer(table, random.Random(1))
    return Dispatcher(table, balancer, settings, counters, 0.0, lambda frame, _now, _who: frame.raw)


class Transport:
    reading = True

    def is_closing(self):
        return False

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


class Reader:
    """An intake of a greeted connection, and what it took in which piece."""

    def __init__(self):
        self.pieces = []
        self.wait_s = 0.0
        self.transport = Transport()
        self.counters = Counters()
        connection = Connection(End.SERVER, binds=False)
        connection.receive(encode_frame(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 8, "test"))))
        connection.sent(kinds.WELCOME)
        self.intake = Intake(connection, dispatcher(self.counters), self.take)
        self.intake.opened(self.transport)

    def take(self, frames, at, _now):
        self.pieces.append(len(frames) - at)
        return self.wait_s

    def greeted(self, **limits):
        """Who it is, known from here on."""
        bind = Bind(1, "spiffe://t/client/c", 1, ["use"], b"", 0)
        client = self.intake.client = Client(lambda _raw: None, Bound(bind), **limits)
        return client


@pytest.fixture
def reader():
    return Reader()


def test_what_came_at_once_is_taken_in_pieces(reader):
    reader.intake.receive(PING * (2 * PIECE_BYTES // len(PING)))
    assert len(reader.pieces) == 2
    assert sum(reader.pieces) == 2 * PIECE_BYTES // len(PING)


async def test_beyond_the_budget_the_rest_is_held_and_taken_later(reader):
    reader.wait_s = 0.01
    reader.intake.receive(PING * (2 * PIECE_BYTES // len(PING)))
    reader.intake.receive(PING)
    assert (len(reader.pieces), reader.transport.reading, reader.counters.clients_paced) == (1, False, 1)
    reader.wait_s = 0.0
    while not reader.transport.reading:
        await asyncio.sleep(0.005)
    assert sum(reader.pieces) == 2 * PIECE_BYTES // len(PING) + 1


def test_a_frame_without_its_end_is_timed_until_it_ends(reader):
    now = clock.monotonic()
    assert reader.intake.unfinished_for(now + 5) == 0
    reader.intake.receive(PING[:5])
    assert reader.intake.unfinished_for(now + 5) >= 4
    reader.intake.receive(PING[5:])
    assert reader.intake.unfinished_for(now + 5) == 0


def test_a_frame_is_not_late_while_its_client_is_not_read(reader):
    reader.intake.receive(PING[:5])
    reader.intake.answers_unread()
    now = clock.monotonic()
    assert not reader.transport.reading
    assert (reader.intake.unfinished_for(now + 5), reader.intake.unread_for(now + 5) >= 4) == (0, True)
    reader.intake.answers_read()
    assert reader.transport.reading
    assert reader.intake.unread_for(now + 5) == 0


def test_who_has_read_its_answers_waits_on_while_it_is_beyond_its_limit(reader):
    client = reader.greeted(max_in_flight=1)
    reader.intake.pause()
    assert reader.transport.reading, "it is not at its limit"
    client.in_flight[1] = None
    reader.intake.pause()
    reader.intake.answers_unread()
    reader.intake.answers_read()
    assert (reader.transport.reading, client.paused) == (False, True)
    client.in_flight.clear()
    reader.intake.resume()
    assert (reader.transport.reading, client.paused) == (True, False)


async def test_nothing_is_taken_of_a_connection_that_has_ended_not_even_what_was_held(reader):
    reader.wait_s = 0.01
    reader.intake.receive(PING * (2 * PIECE_BYTES // len(PING)))
    reader.intake.lost()
    await asyncio.sleep(0.03)
    reader.intake.receive(PING)
    assert len(reader.pieces) == 1


def test_requests_of_a_client_go_on_at_once_and_the_rest_is_handed_over(reader):
    client = reader.greeted()
    reader.intake.receive(request(1) + request(2))
    assert (reader.pieces, sorted(client.in_flight)) == ([], [1, 2])
    reader.intake.receive(request(3) + PING + request(4))
    assert (reader.pieces, sorted(client.in_flight)) == ([2], [1, 2, 3])


def test_a_client_beyond_its_limit_is_handed_over_though_it_sent_requests_only(reader):
    client = reader.greeted(max_in_flight=1)
    reader.intake.receive(request(1))
    assert (reader.pieces, client.excess) == ([], False)
    reader.intake.receive(request(2))
    assert (reader.pieces, client.excess) == ([0], True)


def test_what_the_proxy_answers_itself_is_counted_also_beyond_the_limit(reader):
    client = reader.greeted(max_in_flight=1)
    reader.intake.receive(request(1, Opcode.STATUS) + request(2) + request(3, Opcode.STATUS))
    assert (reader.pieces, client.reports, client.excess) == ([0], 2, True)


def test_requests_of_a_client_that_is_leaving_are_handed_over(reader):
    client = reader.greeted()
    client.leaving = True
    reader.intake.receive(request(1))
    assert (reader.pieces, client.in_flight) == ([1], {})


def test_a_broken_rule_is_handed_over_though_no_frame_is_left(reader):
    reader.greeted()
    reader.intake.receive(request(1) + request(1))
    assert reader.pieces == [0]
