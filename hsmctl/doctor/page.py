"""What `doctor` prints."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from rich.padding import Padding
from rich.text import Text

from hsmctl.doctor.finding import Examination, Finding
from hsmctl.overview.figures import count
from hsmctl.printable import printable

STYLES: Final = {"error": "bold red", "warning": "yellow"}
ABOUT: Final = {
    "configuration": "client.toml, and cluster.toml alike everywhere",
    "certificates": "in time, of the right CA, with their keys",
    "proxies": "each address of client.toml answers",
    "clocks": "the proxies' beside this host's",
    "versions": "this hsmctl, proxies, nodes",
    "nodes": "all in rotation",
    "paths": "all up, of nodes that can be reached",
    "store": "the nodes' stores agree",
    "load": "nothing refused for want of room",
    "problems": "the proxies call nothing else wrong",
    "files": "rights of the daemons' files",
    "ports": "the daemons' own",
}
"""What stands beside a check that found nothing."""
INDENT: Final = 4


def document(examinations: list[Examination]) -> dict[str, Any]:
    """Return the JSON document."""
    findings = [msgspec.to_builtins(found) for each in examinations for found in each.findings]
    checks = [{"check": each.check, "result": _result(each)} for each in examinations]
    return {"healthy": not findings, "findings": findings, "checks": checks}


def page(examinations: list[Examination]) -> Iterator[Text | Padding]:
    """Return the lines for people."""
    width = max(len(each.check) for each in examinations)
    for each in examinations:
        yield _head(each, width)
        for found in each.findings:
            yield Padding(_body(found), (0, 0, 0, INDENT), expand=False)
    yield Text()
    yield _end(examinations)


def _result(examination: Examination) -> str:
    if examination.findings:
        return "findings"
    return f"not looked at: {examination.left_out}" if examination.left_out else "good"


def _head(examination: Examination, width: int) -> Text:
    name = f"{examination.check:<{width}}  "
    if any(found.severity == "error" for found in examination.findings):
        return Text.assemble(("✗ ", "bold red"), (name, "bold"))
    if examination.findings:
        return Text.assemble(("! ", "yellow"), (name, "bold"))
    if examination.left_out:
        return Text.assemble(("- ", "dim"), name, (f"not looked at: {examination.left_out}", "dim"))
    return Text.assemble(("✓ ", "green"), name, (ABOUT.get(examination.check, ""), "dim"))


def _body(found: Finding) -> Text:
    return Text.assemble(
        (printable(found.subject), "bold"),
        ": ",
        (printable(found.wrong), STYLES[found.severity]),
        "\n-> ",
        printable(found.advice),
    )


def _end(examinations: list[Examination]) -> Text:
    found = [finding for each in examinations for finding in each.findings]
    errors = sum(each.severity == "error" for each in found)
    if not found:
        left_out = sum(bool(each.left_out) for each in examinations)
        return Text("Nothing found." if not left_out else "Nothing found where it could look.", "green")
    parts = [count(number, what) for number, what in ((errors, "error"), (len(found) - errors, "warning")) if number]
    return Text(f"Found {' and '.join(parts)}; mend them from top to bottom.", "bold")
