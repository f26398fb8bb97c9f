"""What the proxy answers itself."""

from hsm_wire import kinds
from hsm_wire.errors import BodyError
from hsm_wire.frames import encode_frame
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status


def reports(world, report):
    world.dispatcher._admission._own._report = report


def asked(world, opcode, **more):
    client, peer = world.client(**more)
    client.wire_ids.add(1)
    world.ask(client, 1, opcode=opcode)
    (frame,) = peer.of(kinds.RESPONSE)
    assert not client.wire_ids
    assert not client.in_flight
    return frame


def test_status_and_events_reach_no_node(world):
    for opcode in (Opcode.STATUS, Opcode.EVENTS):
        assert asked(world, int(opcode)).status == Status.OK
        assert world.counters.answers[int(opcode), 0] == 1
    assert not any(peer.of(kinds.REQUEST) for peer in world.peers.values())
    assert sum(world.counters.duration_buckets) == 0


def test_a_malformed_one_is_refused_and_counted_as_that(world):
    def report(frame, now, who):
        raise BodyError("the body is not an Events: it is another thing")

    reports(world, report)
    assert asked(world, int(Opcode.EVENTS)).status == Status.BAD_REQUEST
    assert world.counters.answers[int(Opcode.EVENTS), Status.BAD_REQUEST >> 8] == 1


def test_an_answer_above_what_the_client_takes_is_too_large(world):
    reports(world, lambda frame, now, who: encode_frame(kinds.RESPONSE, bytes(5000), request_id=frame.request_id))
    assert asked(world, int(Opcode.STATUS), max_frame_bytes=4096).status == Status.TOO_LARGE
