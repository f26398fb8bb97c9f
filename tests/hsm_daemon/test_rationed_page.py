"""Pages that cost: fresh for a scraper, the last one again for whoever asks in a loop."""

import pytest

from hsm_daemon import clock
from hsm_daemon.admin import AdminAnswer
from hsm_daemon.rationed_page import BURST, PAGES_PER_S, RationedPage


class Time:
    now = 1_000.0


@pytest.fixture
def time(monkeypatch):
    monkeypatch.setattr(clock, "monotonic", lambda: Time.now)
    return Time


def numbered():
    made = 0

    def make():
        nonlocal made
        made += 1
        return AdminAnswer(200, "text/plain", str(made).encode())

    return RationedPage(make)


def test_who_asks_now_and_then_gets_a_page_made_for_him(time):
    page = numbered()
    for number in range(1, 100):
        assert page().body == str(number).encode()
        time.now += 1 / PAGES_PER_S


def test_who_asks_in_a_loop_gets_the_last_page_again_and_soon_a_new_one(time):
    page = numbered()
    bodies = [int(page().body) for _ in range(1_000)]
    assert bodies[-1] == BURST + 1
    time.now += 1 / PAGES_PER_S
    assert int(page().body) == BURST + 2
