"""Slow requests, samples of failures, and all requests where somebody asks for them."""

import pytest

from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.requests.request_notes import (
    FAILED_EVERY_S,
    REQUEST_LINES,
    SLOW_LINES,
    RequestNotes,
)

GENERATE = int(Opcode.GENERATE_KEY)


@pytest.fixture
def slow(world):
    world.dispatcher.request_notes.choose(0.5, every=False)
    return world


def taken(world, text=None):
    notices = world.dispatcher.request_notes.take(world.now)
    return [notice for notice in notices if text in (None, notice.text)]


def holder(world):
    (node,) = world.holders()
    return node


def test_a_slow_request_is_told_with_its_operation_id_and_where_its_time_went(slow):
    client, _ = slow.client()
    slow.ask(client, 1)
    node = holder(slow)
    slow.now += 0.75
    slow.answer(node)
    (notice,) = taken(slow)
    assert (notice.text, notice.level) == ("a request was slow", "warning")
    assert notice.fields == {
        "operation_id": "0000000000000007",
        "operation": "sign",
        "status": "OK",
        "seconds": pytest.approx(0.75),
        "waited_s": 0.0,
        "at_node_s": pytest.approx(0.75),
        "attempts": 1,
        "nodes": node.name,
        "partition": 1,
    }


def test_a_request_below_the_time_is_not_told(slow):
    client, _ = slow.client()
    slow.ask(client, 1)
    slow.now += 0.25
    slow.answer(holder(slow))
    assert taken(slow) == []


def test_zero_turns_it_off(slow):
    slow.dispatcher.request_notes.choose(0.0, every=False)
    client, _ = slow.client()
    slow.ask(client, 1)
    slow.now += 100.0
    slow.answer(holder(slow))
    assert taken(slow) == []


def test_the_time_in_the_queue_is_told_apart_from_that_at_the_node(make_world):
    world = make_world(weights=(1,), window=1)
    world.dispatcher.request_notes.choose(0.5, every=False)
    client, _ = world.client()
    world.ask(client, 1)
    world.ask(client, 2)
    world.now += 0.75
    world.answer(world.nodes[0])
    world.now += 0.25
    world.answer(world.nodes[0])
    first, second = taken(world)
    assert (first.fields["waited_s"], first.fields["at_node_s"]) == (0.0, 0.75)
    assert (second.fields["waited_s"], second.fields["at_node_s"]) == (0.75, 0.25)


def test_every_node_that_had_it_is_named(slow):
    client, _ = slow.client()
    slow.ask(client, 1)
    first = holder(slow)
    slow.now += 0.5
    slow.answer(first, status=Status.NOT_CURRENT, flags=1)
    second = holder(slow)
    slow.answer(second)
    (notice,) = taken(slow)
    assert (notice.fields["nodes"], notice.fields["attempts"]) == (f"{first.name}, {second.name}", 2)
    assert (notice.fields["waited_s"], notice.fields["at_node_s"]) == (0.5, 0.0)


def test_a_late_answer_is_told_with_the_node_that_gave_it(slow):
    client, _ = slow.client()
    slow.ask(client, 1)
    first = holder(slow)
    slow.advance(1.1)
    slow.answer(first)
    (notice,) = taken(slow)
    assert notice.fields["nodes"].startswith(first.name)
    assert (notice.fields["status"], notice.fields["attempts"]) == ("OK", 2)


def test_one_that_timed_out_names_the_node_that_still_has_it(make_world):
    world = make_world(weights=(1,))
    world.dispatcher.request_notes.choose(0.5, every=False)
    client, _ = world.client()
    world.ask(client, 1, timeout_ms=2_000)
    world.advance(2.1)
    (notice,) = taken(world, "a request was slow")
    assert (notice.fields["status"], notice.fields["nodes"]) == ("TIMEOUT", world.nodes[0].name)
    assert notice.fields["at_node_s"] == pytest.approx(2.0, abs=0.05)


def test_one_that_no_node_ever_had_says_so(make_world):
    world = make_world(weights=(1,), window=1)
    world.dispatcher.request_notes.choose(0.5, every=False)
    client, _ = world.client()
    world.ask(client, 1, timeout_ms=60_000, opcode=int(Opcode.SIGN))
    world.ask(client, 2, timeout_ms=1_000)
    world.advance(1.1)
    (notice,) = taken(world, "a request was slow")
    assert (notice.fields["status"], notice.fields["nodes"], notice.fields["attempts"]) == ("OVERLOADED", "none", 0)
    assert (notice.fields["waited_s"], notice.fields["at_node_s"]) == (pytest.approx(1.0, abs=0.05), 0.0)


def test_a_key_generation_takes_long_by_nature_and_is_no_warning(slow):
    client, _ = slow.client()
    slow.ask(client, 1, opcode=GENERATE)
    slow.now += 3.0
    slow.answer(holder(slow))
    (notice,) = taken(slow)
    assert (notice.fields["operation"], notice.level) == ("generate_key", "info")


def test_where_everything_is_slow_some_are_told_and_the_others_counted(make_world):
    world = make_world(weights=(1,))
    world.dispatcher.request_notes.choose(0.5, every=False)
    client, _ = world.client()
    for turn in range(2):
        for number in range(SLOW_LINES + 5):
            world.ask(client, 100 * turn + number + 1)
        world.now += 0.75
        for _ in range(SLOW_LINES + 5):
            world.answer(world.nodes[0])
        told = taken(world)
        assert len(told) == SLOW_LINES
        assert told[0].fields.get("left_out") == (5 if turn else None)
        assert "left_out" not in told[1].fields
        world.now += 0.5
        assert taken(world) == []


def test_all_are_told_when_they_are_asked_for(make_world):
    world = make_world(weights=(1,))
    world.dispatcher.request_notes.choose(0.5, every=True)
    client, _ = world.client()
    world.ask(client, 1)
    world.answer(world.nodes[0])
    world.ask(client, 2)
    world.now += 0.75
    world.answer(world.nodes[0])
    usual, slow = taken(world)
    assert (usual.text, usual.level, usual.fields["seconds"]) == ("a request", "debug", 0.0)
    assert slow.text == "a request was slow"


def test_of_all_requests_no_more_are_told_in_a_second_than_the_log_may_have(world):
    notes = world.dispatcher.request_notes
    notes.choose(0.0, every=True)
    client, _ = world.client()
    for _ in range(REQUEST_LINES + 10):
        world.ask(client, 1)
        world.answer(holder(world))
    assert len(taken(world)) == REQUEST_LINES


def test_each_status_has_one_line_a_minute_with_a_count_and_the_first_request(world):
    client, _ = world.client()
    for _ in range(3):
        world.ask(client, 1)
        world.answer(holder(world), status=Status.BAD_SIGNATURE)
    world.ask(client, 1)
    world.answer(holder(world), status=Status.KEY_NOT_FOUND)
    first, second = taken(world)
    assert (first.text, first.level) == ("requests failed", "info")
    assert first.fields == {
        "status": "BAD_SIGNATURE",
        "count": 3,
        "within_s": 0.0,
        "first_operation": "sign",
        "first_operation_id": "0000000000000007",
    }
    assert (second.fields["status"], second.fields["count"]) == ("KEY_NOT_FOUND", 1)
    for _ in range(5):
        world.now += 1.0
        world.ask(client, 1)
        world.answer(holder(world), status=Status.BAD_SIGNATURE)
        assert taken(world) == []
    world.now = 100.0 + FAILED_EVERY_S
    (third,) = taken(world)
    assert (third.fields["count"], third.fields["within_s"]) == (5, FAILED_EVERY_S - 1.0)
    world.now += FAILED_EVERY_S
    assert taken(world) == []


def test_what_the_cluster_is_to_blame_for_is_a_warning_also_where_the_proxy_refuses_at_once(world):
    client, _ = world.client(max_in_flight=1)
    world.ask(client, 1)
    world.ask(client, 2)
    (notice,) = taken(world)
    assert (notice.fields["status"], notice.level) == ("OVERLOADED", "warning")


def test_statuses_that_nobody_knows_share_a_line(world):
    notes = RequestNotes()
    client, _ = world.client()
    world.ask(client, 1)
    frame = client.in_flight[1].frame
    notes.failed(frame, 0x06FE, 1.0)
    notes.failed(frame, 0x01FD, 1.0)
    (notice,) = notes.take(1.0)
    assert (notice.fields["status"], notice.fields["count"], notice.level) == ("unknown", 2, "warning")


def test_a_slow_request_of_an_unknown_operation_is_a_warning(slow):
    client, _ = slow.client()
    slow.ask(client, 1, opcode=0x7777)
    slow.now += 0.75
    slow.answer(holder(slow))
    (notice,) = taken(slow)
    assert (notice.fields["operation"], notice.level) == ("unknown", "warning")
