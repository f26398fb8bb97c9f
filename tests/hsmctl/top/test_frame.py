"""One screen of top."""

import pytest
from reports import event, look, node, report, silent, text, view

from hsmctl.top.controls import HELP, ORDERS, VIEWS, Controls
from hsmctl.top.frame import NOT_YET, frame

MANY = [event(1 + number % 59, f"thing {number}") for number in range(200)]
BIG = view(look(report(), *MANY), look(report(node("b"), proxy="proxy-2"), port=2411), silent(2412))


@pytest.mark.parametrize("height", [1, 3, 8, 24])
@pytest.mark.parametrize("width", [1, 62, 200])
def test_it_fills_the_screen_and_no_more(width: int, height: int) -> None:
    for name in VIEWS:
        for controls in (Controls(view=name), Controls(view=name, help=True), Controls(view=name, offset=999)):
            lines = frame(BIG, controls, width, height)
            assert len(lines) == height
            assert max(line.cell_len for line in lines) <= width


def test_before_the_first_answer_it_says_what_it_waits_for() -> None:
    assert NOT_YET in text(frame(None, Controls(), 80, 24))


def test_the_first_line_has_the_views_and_the_time_and_the_last_one_the_keys() -> None:
    lines = text(frame(view(), Controls(), 80, 24)).splitlines()
    assert "nodes   paths   events" in lines[0]
    assert lines[0].endswith("every 1 s  04:12:31 UTC")
    assert lines[-1].startswith(" q quit")


def test_standing_still_is_said() -> None:
    assert "PAUSED" in text(frame(view(), Controls(paused=True), 80, 24)).splitlines()[0]


def test_each_view_shows_its_own() -> None:
    seen = view(look(report(), event()))
    nodes, paths, events = (text(frame(seen, Controls(view=name), 120, 30)) for name in VIEWS)
    assert "zrh-1  ● up" in nodes
    assert "LATEST EVENTS" in nodes
    assert "PATH" in paths
    assert "zrh-1 left the rotation" in events
    assert "no events" in text(frame(view(), Controls(view="events"), 120, 30))


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_is_named_where_it_is_not_by_site(order: str) -> None:
    assert ("sorted by" in text(frame(view(), Controls(order=order), 120, 30))) == (order != "site")


def test_the_newest_event_is_at_the_top_of_its_view_and_moving_shows_older_ones() -> None:
    seen = view(look(report(), *[event(number, f"thing {number}") for number in range(1, 60)]))
    assert "thing 59" in text(frame(seen, Controls(view="events"), 120, 24))
    older = text(frame(seen, Controls(view="events", offset=30), 120, 24))
    assert "thing 59" not in older
    assert "thing 29" in older
    assert "thing 1\n" in text(frame(seen, Controls(view="events", offset=999), 120, 24)) + "\n"


def test_events_below_the_nodes_need_room_for_three() -> None:
    assert "LATEST EVENTS" not in text(frame(BIG, Controls(), 120, 20))


def test_the_help_has_every_key() -> None:
    shown = text(frame(view(), Controls(help=True), 120, 24))
    assert all(keys in shown for keys, _ in HELP)
