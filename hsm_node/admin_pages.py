"""The node's admin pages: /livez, /readyz, /metrics, /status and /."""

import html
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hsm_daemon.admin import AdminAnswer

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_HTML = "text/html; charset=utf-8"


def admin_routes(
    metrics: Callable[[], AdminAnswer], status: Callable[[], Mapping[str, Any]], ready: Callable[[], bool]
) -> dict[str, Callable[[], AdminAnswer]]:
    """Return path -> page."""

    def readyz() -> AdminAnswer:
        return AdminAnswer(200, _TEXT, b"ready\n") if ready() else AdminAnswer(503, _TEXT, b"not ready\n")

    def front() -> AdminAnswer:
        rows = "".join(
            f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>" for key, value in status().items()
        )
        page = f"<!doctype html><title>hsm-node</title><h1>hsm-node</h1><table>{rows}</table>"
        return AdminAnswer(200, _HTML, page.encode())

    return {
        "/": front,
        "/livez": lambda: AdminAnswer(200, _TEXT, b"alive\n"),
        "/readyz": readyz,
        "/metrics": metrics,
        "/status": lambda: AdminAnswer(200, _JSON, msgspec.json.encode(dict(status()))),
    }
