"""The one screen of `status`: health, nodes, the latest events; and the same as JSON."""

from typing import Any, Final

from rich.text import Text

from hsm_wire.forms import named_fields
from hsmctl.overview.assurance import assurance, assurance_lines
from hsmctl.overview.events import event_lines, known_events, moment_of
from hsmctl.overview.header import header
from hsmctl.overview.merging import View, health_of
from hsmctl.overview.nodes import nodes
from hsmctl.overview.observer import Look
from hsmctl.overview.package import package_lines, partition_lines

STATUS_EVENTS: Final = 5
"""The newest ones on the screen of `status`; `hsmctl events` has all."""


def status_page(view: View, width: int) -> list[Text]:
    """Return the lines of the page."""
    lines = [*header(view, width), *assurance_lines(view), *package_lines(view)]
    if view.nodes:
        lines += [Text(), *nodes(view, width)]
    lines += partition_lines(view, width)
    events = event_lines(known_events(view.looks), moment_of(view), len(view.looks))
    return [*lines, Text(), Text("LATEST EVENTS (UTC)", "dim"), *events[-STATUS_EVENTS:]] if events else lines


def status_document(view: View) -> dict[str, Any]:
    """Return the JSON: what the first proxy that answers says, of the load that of all proxies, and a line a proxy."""
    first = next((look.report for look in view.looks if look.report is not None), None)
    document: dict[str, Any] = {"health": view.health, "serves": view.serves, "problems": list(view.problems)}
    if first is not None:
        document = named_fields(first) | _load(view) | document
    document["assurance"] = assurance(view)
    events = [event.document() for event in known_events(view.looks)]
    return document | {"proxies": [_proxy(look) for look in view.looks], "events": events}


def _load(view: View) -> dict[str, Any]:
    """Return what all proxies have to do: sums, and the times of the slowest."""
    return {
        "requests_per_second": round(view.per_second, 3),
        "failed_per_second": round(view.failed_per_second, 3),
        "overloaded_per_second": round(view.overloaded_per_second, 3),
        "p50_ms": view.p50_ms,
        "p99_ms": view.p99_ms,
        "in_flight": view.in_flight,
        "waiting": view.waiting,
        "clients": view.clients,
    }


def _proxy(look: Look) -> dict[str, Any]:
    if look.report is None:
        return {"address": str(look.address), "answers": False, "error": str(look.fault)}
    fields = named_fields(look.report)
    fields["health"] = health_of(look.report)
    return {"address": str(look.address), "answers": True, **fields}
