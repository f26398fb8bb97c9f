"""The picture: valid SVG with a bar for each row."""

from xml.etree import ElementTree

from bench import picture

ROWS = [
    {"workload": workload, "size": 128, "tls": tls, "peer": peer, "build": "python", "cpu_us_per_request": cost}
    for workload, tls in (("64-sync", False), ("64x16", True))
    for peer, cost in (("redoubt", 4.0), ("haproxy", 8.0), ("direct", None))
]


def test_each_workload_is_a_panel_and_what_has_no_cost_has_no_bar() -> None:
    found = picture.panels(ROWS, 128)
    assert [(title, len(rows)) for title, rows in found] == [("64-sync, plain", 2), ("64x16, mTLS", 2)]


def test_the_longest_bar_of_a_panel_is_the_dearest_and_others_are_in_proportion() -> None:
    tree = ElementTree.fromstring(picture.draw(ROWS))
    bars = [element for element in tree.iter("{http://www.w3.org/2000/svg}rect") if element.get("x")]
    assert [float(bar.get("width", 0)) for bar in bars] == [picture.LONGEST / 2, picture.LONGEST] * 2


def test_other_sizes_are_not_in_it() -> None:
    assert picture.panels(ROWS, 4096) == []
