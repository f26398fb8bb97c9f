"""What doctor prints."""

import json

from hsmctl.doctor.finding import Examination, Finding
from hsmctl.doctor.page import document, page
from hsmctl.terminal import plain

ERROR = Finding("proxies", "error", "proxy a:1", "nothing listens there", "start it")
WARNING = Finding("clocks", "warning", "proxy \x1b[2J", "late", "look")


def shown(*examinations: Examination) -> list[str]:
    return plain(page(list(examinations)), 200).splitlines()


def test_each_check_is_a_line_with_what_was_found_below_it() -> None:
    assert shown(
        Examination("nodes"), Examination("proxies", [ERROR]), Examination("clocks", [WARNING]),
        Examination("store", [], "no proxy answers"),
    ) == [
        "✓ nodes    all in rotation",
        "✗ proxies",
        "    proxy a:1: nothing listens there",
        "    -> start it",
        "! clocks",
        "    proxy \\x1b[2J: late",
        "    -> look",
        "- store    not looked at: no proxy answers",
        "",
        "Found 1 error and 1 warning; mend them from top to bottom.",
    ]  # fmt: skip


def test_nothing_found_is_said_and_also_where_it_could_not_look() -> None:
    assert shown(Examination("nodes"))[-1] == "Nothing found."
    assert shown(Examination("nodes", [], "no proxy answers"))[-1] == "Nothing found where it could look."


def test_the_json_has_all_findings_and_the_result_of_each_check() -> None:
    seen = document([Examination("proxies", [ERROR]), Examination("nodes"), Examination("store", [], "why")])
    assert json.loads(json.dumps(seen)) == {
        "healthy": False,
        "findings": [
            {
                "check": "proxies", "severity": "error", "subject": "proxy a:1", "wrong": "nothing listens there",
                "advice": "start it",
            }
        ],
        "checks": [
            {"check": "proxies", "result": "findings"},
            {"check": "nodes", "result": "good"},
            {"check": "store", "result": "not looked at: why"},
        ],
    }  # fmt: skip
