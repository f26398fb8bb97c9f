"""Pages that cost: fresh for a scraper, the last one again for whoever asks in a loop."""

import pytest

from hsm_daemon import clock
from hsm_daemon.admin import AdminAnswer
from hsm_daemon.rationed_page import AHEAD_S, SHARE, RationedPage

COST_S = 0.004


class Time:
    def __init__(self):
        self.now = 1_000.0


@pytest.fixture
def time(monkeypatch):
    time = Time()
    monkeypatch.setattr(clock, "monotonic", lambda: time.now)
    return time


@pytest.fixture
def page(time):
    made = 0

    def make():
        nonlocal made
        made += 1
        time.now += COST_S
        return AdminAnswer(200, "text/plain", str(made).encode())

    return RationedPage(make)


def test_who_asks_now_and_then_gets_a_page_made_for_him(time, page):
    for number in range(1, 200):
        assert page().body == str(number).encode()
        time.now += COST_S / SHARE


def test_who_asks_in_a_loop_gets_the_last_page_again_and_soon_a_new_one(time, page):
    made = {int(page().body) for _ in range(1_000)}
    assert AHEAD_S / COST_S <= len(made) <= 1.2 * AHEAD_S / COST_S
    time.now += COST_S / SHARE
    assert int(page().body) == max(made) + 1
