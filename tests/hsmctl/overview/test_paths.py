"""Every path to every node."""

from reports import down, look, node, path, report, text, view

from hsmctl.overview.paths import paths


def test_each_path_has_a_line_with_its_state_and_reason() -> None:
    seen = report(node("zrh-1", paths=[path(), path("isp-b", "down", "no route to host")]))
    assert text(paths(view(look(seen)), 120)).splitlines() == [
        "SITE    NODE   PATH    STATE   REASON",
        "zurich  zrh-1  isp-a   ● up",
        "zurich  zrh-1  ✗isp-b  ✗ down  no route to host",
    ]


def test_a_path_that_only_some_proxies_have_says_from_how_many() -> None:
    second = report(down("zrh-1"), proxy="proxy-2")
    lines = text(paths(view(look(report(node("zrh-1", paths=[path()]))), look(second, port=2411)), 120)).splitlines()
    assert "▲ up from 1 of 2 proxies" in lines[1]
