"""What partitions may use, over simulated days, several proxies, and restarts."""

import random

import pytest

from hsm_cluster.packages import PACKAGES, Quota
from hsm_cluster.usage import DAY_S, Row, Usage
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import GENERATIONS
from proxy.core.quota.quotas import UNTIL_TOLD_MS, Quotas

NOW = 1_800_000_000.0
ALL = 1 << 30
SIGN = int(Opcode.SIGN)
GENERATE = int(Opcode.GENERATE_KEY)


class Clock:
    def __init__(self):
        self.now = NOW

    def wall(self):
        return self.now

    @property
    def monotonic(self):
        return self.now - NOW + 1000.0


class Simulation:
    """Nodes that count, proxies that decide, and a second between two tellings."""

    def __init__(self, quota, proxies=2, nodes=3):
        self.clock = Clock()
        self.quota = quota
        self.nodes = [Usage(f"n{i}", NOW) for i in range(nodes)]
        self.proxies = [self.proxy() for _ in range(proxies)]
        self.chance = random.Random(1)
        self.done = []
        self.heard = {}

    def proxy(self):
        made = Quotas(self.clock.wall)
        made.configure({1: self.quota}, self.clock.monotonic)
        return made

    def restart_proxy(self, at):
        self.proxies[at] = self.proxy()
        self.tell(self.proxies[at], lately=False)

    def restart_node(self, at):
        """It forgot everything, and hears it again from whoever has heard of it."""
        self.nodes[at] = Usage(f"n{at}", self.clock.now)

    def ask(self, proxy, count=1):
        admit, now = self.proxies[proxy].admit, self.clock.monotonic
        done = next((n for n in range(count) if admit(1, SIGN, now) is not None), count)
        left = done
        for node in self.nodes[:-1]:
            share = self.chance.randint(0, left)
            node.count(1, share, 0)
            left -= share
        self.nodes[-1].count(1, left, 0)
        self.done.append((self.clock.now, done))
        return done

    def generate(self, proxy):
        """Ask until there are no more."""
        quotas, now, made = self.proxies[proxy], self.clock.monotonic, 0
        while quotas.admit(1, GENERATE, now) is None:
            self.chance.choice(self.nodes).count(1, 0, 1)
            quotas.settle(1, now, made=True)
            made += 1
        return made

    def tell(self, proxy, *, lately=True):
        for node in self.nodes:
            node.advance(self.clock.now)
            proxy.hear(self.news(node, proxy), self.clock.monotonic, lately=lately)

    def news(self, of, to):
        news = of.news(self.heard.get((of, to), 0), ALL)
        self.heard[of, to] = news.newest
        return news.rows

    def second(self, seconds=1.0):
        self.clock.now += seconds
        for proxy in self.proxies:
            self.tell(proxy)
        for node in self.nodes:
            node.merge(self.news(self.proxies[0].usage, node))

    def most_in_a_day(self):
        """Return the most that was done in any 24 hours."""
        most = total = begin = 0
        for at, count in self.done:
            total += count
            while self.done[begin][0] <= at - DAY_S:
                total -= self.done[begin][1]
                begin += 1
            most = max(most, total)
        return most


@pytest.mark.parametrize("per_minute", [1, 6])
def test_the_mean_over_24_hours_is_exact_within_one_per_cent_over_days(per_minute):
    days, limit = 3, per_minute * 24 * 60
    simulation = Simulation(Quota(per_minute))
    for step in range(days * DAY_S // 200):
        simulation.ask(step % 2, 7 * per_minute)
        simulation.second(200)
    assert simulation.most_in_a_day() <= limit + 7 * per_minute
    total = sum(count for _, count in simulation.done)
    assert total >= days * limit * 0.99


def test_economy_s_600_a_minute_are_exact_within_one_per_cent():
    quota, limit = PACKAGES["economy"].quota, 600 * 24 * 60
    simulation = Simulation(quota)
    for step in range(2 * DAY_S // 200):
        simulation.ask(step % 2, 2200)
        simulation.second(200)
    assert simulation.most_in_a_day() <= limit * 1.01
    assert sum(count for _, count in simulation.done) == pytest.approx(2 * limit, rel=0.01)


@pytest.mark.parametrize("hours", [2, pytest.param(24, marks=pytest.mark.system)])
def test_economy_s_one_key_a_second_is_exact_within_one_per_cent_over_a_day_of_restarts(hours):
    """Everybody asks all the time; every quarter of an hour a proxy is restarted, and a node with an empty disk."""
    simulation, every_s, made = Simulation(PACKAGES["economy"].quota, nodes=2), 4, 0
    for passed in range(0, hours * 3600, every_s):
        if passed % 900 == 0:
            simulation.restart_proxy(passed // 900 % 2)
        if passed % 900 == 400:
            simulation.restart_node(passed // 900 % 2)
        for proxy in (0, 1) if passed % 8 else (1, 0):
            made += simulation.generate(proxy)
        simulation.second(every_s)
    assert made == pytest.approx(hours * 3600, rel=0.01)


def test_a_burst_may_use_a_whole_day_s_signatures_at_once_and_then_waits_for_a_day():
    simulation = Simulation(Quota(1))
    assert simulation.ask(0, 2000) == 1440
    simulation.second()
    over = simulation.proxies[1].admit(1, SIGN, simulation.clock.monotonic)
    assert over.quota == "signatures"
    assert DAY_S <= over.retry_after_ms / 1000 <= DAY_S + 300
    assert over.detail.endswith("are used up; there will be some in 25 h")
    simulation.clock.now += over.retry_after_ms / 1000
    simulation.second(0)
    assert simulation.ask(1, 2000) == 1440


def test_quotas_hold_while_proxies_and_nodes_are_restarted():
    """Each hour another one; a node comes back with an empty disk."""
    quota, hours = Quota(6), 40
    simulation = Simulation(quota)
    for step in range(hours * 20):
        if step % 20 == 0:
            simulation.restart_proxy(step // 20 % 2)
        if step % 20 == 10:
            simulation.restart_node(step // 20 % 3)
            simulation.second(0)
        simulation.ask(step % 2, 50)
        simulation.second(180)
    assert 0.99 * 8640 <= simulation.most_in_a_day() <= 8640 + 50


def test_what_a_lost_node_had_counted_is_not_forgotten():
    simulation = Simulation(Quota(1), nodes=2)
    simulation.ask(0, 1000)
    simulation.second()
    lost = simulation.nodes.pop()
    assert lost.signatures(1)
    simulation.restart_proxy(1)
    assert simulation.ask(1, 2000) == 440


def test_it_is_overrun_at_most_by_what_was_done_since_nodes_told():
    simulation = Simulation(Quota(1), proxies=3)
    per_second = 100
    for _ in range(60):
        for proxy in range(3):
            simulation.ask(proxy, per_second // 3)
        simulation.second()
    assert 1440 <= simulation.most_in_a_day() <= 1440 + 2 * per_second


def test_who_asks_in_vain_uses_nothing():
    simulation = Simulation(Quota(1), proxies=1)
    proxy = simulation.proxies[0]
    for _ in range(5):
        for _ in range(1440):
            assert proxy.admit(1, SIGN, simulation.clock.monotonic) is None  # no node counts it: there is no such key
        assert proxy.admit(1, SIGN, simulation.clock.monotonic).retry_after_ms == UNTIL_TOLD_MS
        simulation.second()
    assert proxy.refused == {(1, "signatures"): 5}


def test_key_generations_are_counted_when_they_are_let_through():
    simulation = Simulation(PACKAGES["economy"].quota, proxies=1)
    proxy, now = simulation.proxies[0], simulation.clock.monotonic + 60
    for opcode in (*GENERATIONS, GENERATE, GENERATE, GENERATE):
        assert proxy.admit(1, opcode, now) is None
    over = proxy.admit(1, GENERATE, now)
    assert (over.quota, over.retry_after_ms) == ("generations", 1000)
    assert over.detail == "the partition has 1 key generation a second, with a burst of 5; the next one in 1 s"
    proxy.settle(1, now, made=False)
    assert proxy.admit(1, GENERATE, now) is None


def test_keys_that_others_generated_count_too():
    proxy = Quotas(lambda: NOW)
    proxy.configure({1: Quota(None, 1), 2: Quota(5)}, 0.0)
    proxy.hear([Row("n", 1, int(NOW) // 300, 0, 7), Row("n", 2, int(NOW) // 300, 0, 7)], 60.0)
    assert proxy.admit(1, GENERATE, 60.0).retry_after_ms == 3000
    assert proxy.admit(2, GENERATE, 60.0) is None
    assert proxy.admit(1, SIGN, 60.0) is None


def test_partitions_without_a_limit_have_no_gate():
    quotas = Quotas(lambda: NOW)
    gates = quotas.gates
    quotas.configure({1: Quota(), 2: Quota(stored_keys=5), 3: Quota(7)}, 0.0)
    assert list(gates) == [3]
    assert quotas.admit(1, SIGN, 0.0) is None
    quotas.settle(1, 0.0, made=True)
    quotas.settle(3, 0.0, made=True)


def test_a_reload_keeps_what_is_known_and_takes_other_limits():
    quotas = Quotas(lambda: NOW)
    quotas.configure({1: Quota(1, 1), 2: Quota(1)}, 0.0)
    for _ in range(10):
        quotas.admit(1, SIGN, 0.0)
    quotas.hear([Row("n", 1, int(NOW) // 300, 10, 0)], 0.0)
    quotas.configure({1: Quota(1, 1)}, 0.0)
    assert (quotas.gates[1].left, list(quotas.gates)) == (1430, [1])
    quotas.configure({1: Quota(2, 1)}, 0.0)
    assert quotas.gates[1].left == 2870


def test_what_is_stored_is_what_the_node_says_that_has_heard_of_most():
    quotas = Quotas(lambda: NOW)
    assert quotas.stored(1) == 0
    quotas.hear_stored("a", {1: 5})
    quotas.hear_stored("b", {1: 6})
    assert (quotas.stored(1), quotas.stored(2)) == (6, 0)
    quotas.forget({"a"})
    assert quotas.stored(1) == 5


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s"), (119.5, "2 min"), (90, "90 s"), (600, "10 min"), (86_400, "24 h")]
)
def test_the_time_to_wait_is_told_in_words(seconds, words):
    clock = Clock()
    quotas = Quotas(clock.wall)
    quotas.configure({1: Quota(1)}, clock.monotonic)
    period = int(NOW) // 300
    quotas.hear([Row("n", 1, period - 288, 1440, 0)], clock.monotonic)
    clock.now = (period + 1) * 300 - seconds
    if seconds > 300:
        quotas = Quotas(clock.wall)
        quotas.configure({1: Quota(1)}, clock.monotonic)
        at = int((clock.now + seconds) // 300) - 289
        clock.now = (at + 289) * 300 - seconds
        quotas.hear([Row("n", 1, at, 1440, 0)], clock.monotonic)
    assert quotas.admit(1, SIGN, clock.monotonic).detail.endswith(f"there will be some in {words}")
