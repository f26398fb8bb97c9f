"""What a key makes of what is shown."""

import pytest

from hsmctl.top.controls import HELP, INTERVALS_S, ORDERS, VIEWS, Controls, pressed


def after(*keys: str) -> Controls:
    controls = Controls()
    for key in keys:
        controls = pressed(controls, key)
    return controls


@pytest.mark.parametrize("key", ["q", "Q", "ctrl-c"])
def test_it_is_left_from_everywhere(key: str) -> None:
    assert after(key).quit
    assert after("h", key).quit


def test_views_are_chosen_by_number_and_gone_through() -> None:
    assert [after(key).view for key in "123"] == list(VIEWS)
    assert after("tab").view == "paths"
    assert after("tab", "right", "tab").view == "nodes"
    assert after("left").view == after("back tab").view == "events"


def test_sorting_goes_through_all_orders_and_shows_the_nodes() -> None:
    seen = {after("3", *["s"] * times).order for times in range(len(ORDERS))}
    assert seen == set(ORDERS)
    assert after("3", "s").view == "nodes"
    assert after("S").order == ORDERS[-1]


def test_it_stands_still_and_goes_on() -> None:
    assert after(" ").paused
    assert not after("p", " ").paused


def test_a_view_is_moved_in_and_another_one_begins_at_its_top() -> None:
    assert after("down", "j", "page down").offset == 12
    assert after("page down", "up", "k").offset == 8
    assert after("up").offset == after("down", "home").offset == after("down", "tab").offset == 0


def test_looks_are_as_often_as_the_list_allows() -> None:
    assert after("+").interval_s == 0.5
    assert after(*"+++++").interval_s == INTERVALS_S[0]
    assert after(*"-------").interval_s == INTERVALS_S[-1]
    assert after("-", "=").interval_s == Controls().interval_s


def test_any_key_leaves_the_help() -> None:
    assert after("h").help
    assert after("?", "3") == Controls()


def test_a_key_without_meaning_changes_nothing() -> None:
    assert after("x", "é", "\x00") == Controls()


def test_every_line_of_the_help_names_keys_that_do_something() -> None:
    named = {"q": "q", "space": " ", "Tab": "tab", "1": "1", "s": "s", "up": "up", "+": "+", "h": "h"}
    for keys, _ in HELP:
        first = keys.split(",")[0].split()[0]
        assert after("2", "down", "down", named[first]) != after("2", "down", "down"), keys
