"""The proxy's admin pages: the status page, and beside it /summary, /metrics, /livez, /readyz and /status."""

from collections.abc import Callable

from hsm_daemon.admin import AdminAnswer
from hsm_daemon.metrics import CONTENT_TYPE
from hsm_daemon.rationed_page import RationedPage
from proxy import status_page
from proxy.core.nodes.node_table import READY, Node
from proxy.core.requests.dispatcher import Dispatcher

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


def admin_routes(
    name: str, dispatcher: Dispatcher, metrics: Callable[[], bytes], status: Callable[[], bytes]
) -> dict[str, Callable[[], AdminAnswer]]:
    """Return path -> page."""

    def summary() -> AdminAnswer:
        table = dispatcher.table
        lines = [f"{name}: {len(table.rotation)} of {len(table.nodes)} nodes in rotation"]
        lines += [_line(node) for node in table.nodes]
        return _text(200, "\n".join([*lines, "Pages: /status /metrics /livez /readyz"]))

    def readyz() -> AdminAnswer:
        reason = why_unready(dispatcher)
        return _text(503, f"not ready: {reason}") if reason else _text(200, "ready")

    return status_page.routes() | {
        "/summary": summary,
        "/metrics": RationedPage(lambda: AdminAnswer(200, CONTENT_TYPE, metrics())),
        "/livez": lambda: _text(200, "alive"),
        "/readyz": readyz,
        "/status": RationedPage(lambda: AdminAnswer(200, _JSON, status())),
    }


def why_unready(dispatcher: Dispatcher) -> str:
    """Return why no client should be sent to this proxy; empty while it serves."""
    if dispatcher.leaving:
        return "this proxy is shutting down"
    return "" if dispatcher.table.rotation else "no node is in rotation; see /status for the reasons"


def _line(node: Node) -> str:
    """Return a node's states and why they are so, as `hsmctl status` has them."""
    wish = "" if node.administrative == READY else f"{node.administrative}, "
    return f"{node.name}: {wish}{node.operational}{': ' if node.reason else ''}{node.reason}"


def _text(status: int, text: str) -> AdminAnswer:
    return AdminAnswer(status, _TEXT, f"{text}\n".encode())
