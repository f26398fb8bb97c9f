"""Who is turned away, and what is said of it; each limit by itself is tried in `test_dispatcher`."""

import pytest

from hsm_wire import kinds
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status


def test_a_request_that_nothing_speaks_against_goes_to_a_node(world):
    client, peer = world.client()
    world.ask(client, 1)
    assert (peer.frames, client.excess, client.reports) == ([], False, 0)
    assert len(world.holders()) == 1


def test_a_client_that_asks_beyond_its_limit_is_known_by_it_until_somebody_has_seen_it(world):
    client, peer = world.client(max_in_flight=1)
    world.ask(client, 1)
    assert not client.excess
    world.ask(client, 2)
    assert client.excess
    (refused,) = peer.of(kinds.RESPONSE)
    assert (refused.request_id, refused.status) == (2, Status.OVERLOADED)
    assert (world.counters.overloaded["client_in_flight"], client.wire_ids) == (1, {1})


@pytest.mark.parametrize("most", [1, 2])
def test_what_the_proxy_answers_itself_is_counted_whether_there_was_room_or_not(world, most):
    client, peer = world.client(max_in_flight=most)
    world.ask(client, 1)
    world.ask(client, 2, opcode=Opcode.STATUS)
    assert client.reports == 1
    (answer,) = peer.of(kinds.RESPONSE)
    assert (answer.status == Status.OVERLOADED) == (most == 1)
