"""The deep check of one node: asked over its queue, verified, given up in time."""

import pytest

from hsm_wire import kinds
from hsm_wire.frames import encode_frame
from hsm_wire.messages import Check, CheckResult, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.checks.deep_check import CHALLENGE_BYTES, DeepCheck, Verdict
from proxy.core.parties import Link

KEY, OTHER_KEY = b"\x04" * 65, b"\x05" * 65


class Counting:
    def __init__(self):
        self.asked = 0

    def challenge(self):
        self.asked += 1
        return bytes([self.asked]) * CHALLENGE_BYTES

    def verifies(self, public_key, challenge, signature):
        return signature == challenge * 2


class Bench:
    """One node, one link, one check."""

    def __init__(self, world):
        self.world = world
        self.node = world.nodes[0]
        self.link = world.links[self.node]
        self.peer = world.peers[self.node]
        self.who = world.principals.join("spiffe://t/proxy/p", 0, ["check"])
        self.deep = DeepCheck(Counting(), self.who, world.now)

    def ask(self, now=100.0):
        self.deep.ask(self.node, self.link, self.world.settings, now)
        return self.link.in_flight[self.peer.frames[-1].request_id]

    def reply(self, probe, *, key=KEY, signature=None, status=Status.OK, body=None):
        if body is None:
            body = encode_body(CheckResult(signature or probe.challenge * 2, key)) if status == Status.OK else b"\x90"
        split = type(self.peer)()
        split.sink(encode_frame(kinds.RESPONSE, body, request_id=1, status=int(status)))
        return self.deep.answered(probe, split.frames[0])


@pytest.fixture
def bench(world):
    return Bench(world)


def test_the_question_goes_as_a_request_of_the_proxy_s_own(bench):
    bench.ask()
    bind, request = bench.peer.frames
    assert (bind.kind, request.kind, request.opcode) == (kinds.BIND, kinds.REQUEST, Opcode.CHECK)
    assert (request.principal, request.timeout_ms) == (bench.who.number, 2_000)
    assert decode_body(Check, request.body).challenge == bytes([1]) * 32
    assert bench.node.in_flight == 1, "it goes through the node's queue and its window"
    assert bench.link.owing_since == 100.0


def test_bind_is_said_once_and_each_challenge_is_new(bench):
    for _ in range(2):
        bench.reply(bench.ask())
    assert len(bench.peer.of(kinds.BIND)) == 1
    bodies = {frame.body for frame in bench.peer.of(kinds.REQUEST)}
    assert len(bodies) == 2


def test_what_the_link_owed_before_keeps_its_time(bench):
    bench.link.owing_since = 90.0
    bench.link.in_flight[77] = object()
    bench.ask()
    assert bench.link.owing_since == 90.0


def test_a_signature_that_verifies_is_good(bench):
    assert bench.reply(bench.ask()) is Verdict.GOOD
    assert not bench.deep.running


def test_a_signature_that_does_not_verify_is_wrong(bench):
    assert bench.reply(bench.ask(), signature=bytes(64)) is Verdict.WRONG


def test_an_old_answer_to_a_new_question_is_wrong(bench):
    first = bench.ask()
    bench.reply(first)
    assert bench.reply(bench.ask(), signature=first.challenge * 2) is Verdict.WRONG


def test_another_public_key_in_the_same_boot_is_wrong(bench):
    bench.reply(bench.ask())
    assert bench.reply(bench.ask(), key=OTHER_KEY) is Verdict.WRONG
    assert bench.reply(bench.ask()) is Verdict.GOOD


def test_another_public_key_of_another_process_is_fine(bench):
    bench.reply(bench.ask())
    bench.deep.restarted()
    assert bench.reply(bench.ask(), key=OTHER_KEY) is Verdict.GOOD


def test_the_key_of_a_wrong_signature_is_not_believed(bench):
    bench.reply(bench.ask(), key=OTHER_KEY, signature=bytes(64))
    assert bench.reply(bench.ask()) is Verdict.GOOD


def test_an_older_node_that_knows_no_check_is_fine(bench):
    assert bench.reply(bench.ask(), status=Status.UNKNOWN_OPERATION) is Verdict.GOOD


@pytest.mark.parametrize("more", [{"status": Status.DEVICE_ERROR}, {"status": Status.OVERLOADED}, {"body": b"\xc1"}])
def test_any_other_answer_is_a_failure(bench, more):
    assert bench.reply(bench.ask(), **more) is Verdict.FAILED
    assert bench.reply(bench.ask(), **more) is Verdict.FAILED
    assert bench.deep.failed == 2


def test_a_good_answer_starts_the_count_again(bench):
    bench.reply(bench.ask(), status=Status.DEVICE_ERROR)
    bench.reply(bench.ask())
    assert bench.deep.failed == 0
    bench.reply(bench.ask(), status=Status.DEVICE_ERROR)
    bench.deep.restarted()
    assert bench.deep.failed == 0


def test_an_answer_has_two_seconds(bench):
    assert bench.deep.overdue(bench.world.settings, 500.0) is None, "nothing was asked"
    bench.ask()
    assert bench.deep.overdue(bench.world.settings, 101.99) is None
    assert bench.deep.running
    assert bench.deep.overdue(bench.world.settings, 102.0) is Verdict.FAILED
    assert not bench.deep.running
    assert (bench.node.in_flight, dict(bench.link.in_flight)) == (0, {})


def test_what_clients_are_owed_stays_when_a_check_is_given_up(bench):
    client, _ = bench.world.client()
    for request_id in range(1, 9):
        bench.world.ask(client, request_id)
    owed = dict(bench.link.in_flight)
    assert owed
    bench.ask()
    bench.deep.overdue(bench.world.settings, 102.0)
    assert bench.link.in_flight == owed


def test_an_answer_after_its_time_is_dropped(bench):
    probe = bench.ask()
    bench.deep.overdue(bench.world.settings, 102.0)
    assert bench.reply(probe, signature=bytes(64)) is None
    assert bench.deep.failed == 1


def test_a_question_whose_link_is_gone_is_no_failure(bench):
    probe = bench.ask()
    bench.deep.link_lost(Link(bench.node.paths[0], bench.peer.sink))
    assert bench.deep.running, "that was another link"
    bench.deep.link_lost(bench.link)
    assert not bench.deep.running
    assert bench.deep.overdue(bench.world.settings, 200.0) is None
    assert bench.reply(probe) is None
    assert bench.deep.failed == 0
