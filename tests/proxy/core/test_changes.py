"""The sentences of changes."""

import pytest

from proxy.core.changes import StateChange, duration_words, short_reason


def node(before, after, **more):
    return StateChange("zrh-2", before, after, "its reason", **more)


@pytest.mark.parametrize(
    ("change", "level", "what"),
    [
        (node("up", "down", served=True, why="connection refused"), "warning",
         "zrh-2 left the rotation: connection refused"),
        (node("probing", "up", serves=True, out_s=12.3), "info", "zrh-2 is back in rotation (was out for 12 s)"),
        (node("down", "up", serves=True), "info", "zrh-2 is in rotation"),
        (node("up", "up/drain", served=True), "warning", "zrh-2 left the rotation: its reason"),
        (node("ejected", "probing"), "warning", "zrh-2 is probing and does not serve: its reason"),
        (node("down/drain", "up/drain"), "warning", "zrh-2 is up, drain and does not serve: its reason"),
        (node("up", "stale", served=True, serves=True), "warning",
         "zrh-2 is stale and serves, as no other node can: its reason"),
        (node("down", "up", path="isp-a"), "info", "zrh-2 answers over isp-a"),
        (node("up", "down", path="isp-a"), "warning", "zrh-2 does not answer over isp-a any more: its reason"),
    ],
)  # fmt: skip
def test_a_change_is_a_sentence(change, level, what):
    assert (change.level, change.what) == (level, what)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_200, "2 h"),
        (400_000, "5 days"),
    ],
)
def test_times_are_said_as_people_do(seconds, words):
    assert duration_words(seconds) == words


def test_a_reason_that_all_paths_have_is_said_once():
    assert short_reason(["cannot connect: Connection refused"] * 2) == "connection refused"
    assert short_reason(["TLS failed: x"]) == "TLS failed: x"
    assert short_reason(["one", "two"]) == "" == short_reason([]) == short_reason([""])
