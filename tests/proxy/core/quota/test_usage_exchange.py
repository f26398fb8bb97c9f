"""Proxies and nodes tell each other what partitions have used."""

import pytest

from hsm_cluster.packages import Quota
from hsm_cluster.usage import Row
from hsm_wire import kinds
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.messages import StoredRow, UsageNews, UsageReport, UsageRow, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import Role
from hsm_wire.statuses import Status
from proxy.core.quota.quotas import Quotas
from proxy.core.quota.usage_exchange import EVERY_S, LATELY_S, PATIENCE_S, UsageExchange

NOW = 1_800_000_000.0
PERIOD = int(NOW) // 300
ROW = UsageRow("n0", 1, PERIOD, 40, 2)
OTHER = UsageRow("n9", 1, PERIOD, 7, 0)
BOOT = b"b" * 16
GENERATE = int(Opcode.GENERATE_KEY)


class Exchanging:
    """A world with an exchange, whose nodes answer when the test says so."""

    def __init__(self, world):
        self.world = world
        self.quotas = Quotas(lambda: NOW)
        self.quotas.configure({1: Quota(1)}, self.world.now)
        self.who = self.world.principals.join("spiffe://t/proxy/p1", 0, [Role.CHECK])
        self.exchange = UsageExchange(self.world.table, self.quotas, self.who, self.world.dispatcher.notices)
        self.world.dispatcher.on_stray = self.exchange.answered

    def tick(self, passed=0.0):
        self.world.now += passed
        self.exchange.tick(self.world.now)

    def asked(self, at):
        """Return the questions to a node."""
        node = self.world.nodes[at]
        found = [f for f in self.world.peers[node].of(kinds.REQUEST) if f.opcode == Opcode.USAGE]
        return [(frame, decode_body(UsageReport, frame.body)) for frame in found]

    def answer(self, at, news, status=Status.OK, body=None):
        node = self.world.nodes[at]
        request_id = self.asked(at)[-1][0].request_id
        raw = encode_frame(
            kinds.RESPONSE,
            encode_body(news) if body is None else body,
            request_id=request_id,
            opcode=Opcode.USAGE,
            status=int(status),
        )
        (frame,) = FrameSplitter(1 << 20).split(raw)
        self.world.dispatcher.response(self.world.links[node], frame, self.world.now)


@pytest.fixture
def exchanging(make_world):
    return lambda nodes=2: Exchanging(make_world(weights=(1,) * nodes))


def test_each_node_is_asked_at_once_and_then_every_second(exchanging):
    it = exchanging()
    it.tick()
    it.tick(0.1)
    assert [len(it.asked(at)) for at in (0, 1)] == [1, 1]
    binds = it.world.peers[it.world.nodes[0]].of(kinds.BIND)
    assert len(binds) == 1
    frame, report = it.asked(0)[0]
    assert (frame.principal, report) == (it.who.number, UsageReport())
    it.answer(0, UsageNews(BOOT, 5, False, [ROW], [StoredRow(1, 12)]))
    it.tick(EVERY_S)
    assert [len(it.asked(at)) for at in (0, 1)] == [2, 1]
    assert it.asked(0)[1][1].after == 5
    assert (it.quotas.usage.signatures(1), it.quotas.stored(1)) == (40, 12)
    assert it.quotas.gates[1].left == 1400


def test_what_one_node_tells_is_told_to_the_others_and_not_back(exchanging):
    it = exchanging()
    it.tick()
    it.answer(0, UsageNews(BOOT, 5, False, [ROW, OTHER]))
    it.answer(1, UsageNews(BOOT, 9, False, []))
    it.tick(EVERY_S)
    assert it.asked(1)[1][1].rows == [ROW, OTHER]
    it.answer(0, UsageNews(BOOT, 5, False, []))
    it.answer(1, UsageNews(BOOT, 9, False, []))
    it.tick(EVERY_S)
    assert it.asked(0)[2][1].rows == it.asked(1)[2][1].rows == []


def test_a_node_that_has_begun_anew_hears_its_own_counts_too(exchanging):
    it = exchanging(1)
    it.quotas.hear([Row("n0", 1, PERIOD, 40, 2)], it.world.now)
    it.tick()
    assert it.asked(0)[0][1].rows == [ROW]


def test_a_long_story_is_asked_for_page_by_page_without_waiting(exchanging):
    it = exchanging(1)
    it.tick()
    assert not it.exchange.complete
    it.answer(0, UsageNews(BOOT, 5, True, [ROW]))
    assert not it.exchange.complete
    it.tick()
    assert it.asked(0)[1][1].after == 5
    it.answer(0, UsageNews(BOOT, 6, False, [OTHER]))
    assert it.exchange.complete
    it.tick()
    assert len(it.asked(0)) == 2


def test_an_answer_that_does_not_come_is_asked_for_again_and_nobody_is_suspected(exchanging):
    it = exchanging(1)
    it.tick()
    it.tick(PATIENCE_S - 0.01)
    assert len(it.asked(0)) == 1
    it.tick(0.02)
    assert len(it.asked(0)) == 2
    link = it.world.links[it.world.nodes[0]]
    assert (link.in_flight, it.world.nodes[0].in_flight) == ({}, 0)
    it.answer(0, UsageNews(BOOT, 5, False, [ROW]))
    assert it.world.counters.late_answers == 0
    it.answer(0, UsageNews(BOOT, 5, False, [ROW]))
    assert it.world.counters.late_answers == 1


@pytest.mark.parametrize(("silence_s", "wait_ms"), [(EVERY_S, 11_000), (LATELY_S + 1, 1_000)])
def test_keys_that_were_generated_nobody_knows_when_do_not_have_to_sink_again(silence_s, wait_ms, exchanging):
    it = exchanging(1)
    it.quotas.configure({1: Quota(None, 1)}, it.world.now)
    it.tick()
    it.answer(0, UsageNews(BOOT, 5, False, [UsageRow("n0", 1, PERIOD, 0, 300)]))
    assert it.quotas.admit(1, GENERATE, it.world.now).retry_after_ms == 1_000
    it.tick(silence_s)
    it.answer(0, UsageNews(BOOT, 6, False, [UsageRow("n0", 1, PERIOD, 0, 300 + 10 + round(silence_s))]))
    assert it.quotas.admit(1, GENERATE, it.world.now).retry_after_ms == wait_ms


@pytest.mark.parametrize(("status", "body"), [(Status.UNKNOWN_OPERATION, b"\x92\xa1x\x00"), (Status.OK, b"\x90")])
def test_an_older_node_is_left_alone_and_not_waited_for(status, body, exchanging):
    it = exchanging(1)
    it.tick()
    it.answer(0, None, status, body)
    assert it.exchange.complete
    it.tick(10)
    assert len(it.asked(0)) == 1


def test_a_sealed_node_is_asked_again(exchanging):
    it = exchanging(1)
    it.tick()
    it.answer(0, None, Status.NOT_CURRENT, b"\x92\xa1x\x00")
    assert not it.exchange.complete
    it.tick(EVERY_S)
    assert len(it.asked(0)) == 2


def test_another_link_begins_anew_and_a_leaving_one_is_not_used(exchanging):
    it = exchanging(1)
    it.tick()
    it.answer(0, UsageNews(BOOT, 5, False, [ROW]))
    node = it.world.nodes[0]
    it.world.links[node].leaving = True
    it.tick(5)
    assert len(it.asked(0)) == 1
    it.exchange._peers[node].link = None
    it.world.links[node].leaving = False
    it.tick()
    assert it.asked(0)[1][1].after == 0


def test_nodes_that_were_taken_out_are_forgotten(exchanging):
    it = exchanging(2)
    it.tick()
    it.answer(0, UsageNews(BOOT, 5, False, [ROW], [StoredRow(1, 12)]))
    it.world.table.nodes.pop(0)
    it.exchange.reconfigured()
    assert list(it.exchange._peers) == it.world.table.nodes
    assert it.quotas.stored(1) == 0
    assert it.quotas.usage.signatures(1) == 40


def test_a_node_that_tells_of_nodes_and_partitions_that_there_are_not_is_named_once(exchanging):
    it = exchanging()
    it.quotas.believe(["n0", "n1"], [1], 0.0, it.world.now)
    it.tick()
    for made_up in ("n8", "n9"):
        lies = [UsageRow(made_up, 1, PERIOD, 800_000, 0), UsageRow("n1", 7, PERIOD, 9, 9), ROW]
        it.answer(0, UsageNews(BOOT, 3, False, lies, []))
        it.tick(EVERY_S)
    assert (it.quotas.usage.signatures(1), it.quotas.usage.signatures(7)) == (40, 0)
    assert it.quotas.usage.claims.refused == 4
    assert [notice.fields["node"] for notice in it.world.dispatcher.notices.take()] == ["n0"]
    assert all(row.node == "n0" for _, report in it.asked(1) for row in report.rows)


def test_with_another_configuration_everything_is_asked_and_told_once_more(exchanging):
    it = exchanging()
    it.quotas.believe(["n0", "n1"], [1], 0.0, it.world.now)
    it.tick()
    it.answer(0, UsageNews(BOOT, 5, False, [ROW, OTHER], []))
    it.answer(1, UsageNews(BOOT, 5, False, [], []))
    it.tick(EVERY_S)
    assert it.asked(0)[-1][1].after == 5
    it.quotas.believe(["n0", "n1", "n9"], [1], 0.0, it.world.now)
    it.exchange.reconfigured()
    it.answer(0, UsageNews(BOOT, 5, False, [], []))
    it.answer(1, UsageNews(BOOT, 5, False, [], []))
    assert it.quotas.usage.signatures(1) == 40
    it.tick(EVERY_S)
    assert [it.asked(at)[-1][1].after for at in (0, 1)] == [0, 0]
    assert it.asked(1)[-1][1].rows == [ROW]
    it.answer(0, UsageNews(BOOT, 5, False, [ROW, OTHER], []))
    assert it.quotas.usage.signatures(1) == 47
