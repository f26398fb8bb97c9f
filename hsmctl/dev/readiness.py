"""Asking daemons over their admin HTTP servers whether they serve."""

import http.client
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

OK = http.client.OK
READY_S: Final = 60.0
"""For a daemon to serve. Usually under 5 s; where others have the processors, one was seen to wait 20 s for one."""
QUESTION_TIMEOUT_S = 2.0
MAX_ANSWER_BYTES = 1 << 20


def not_ready(name: str, admin: str, within_s: float, said: str, log: Path) -> str:
    """Return the line about a daemon that does not serve in time.

    Args:
        name: of the daemon.
        admin: where its admin server is; empty: it has none.
        within_s: for which it was waited.
        said: the last line of its log; empty: there is none.
        log: that file.
    """
    state = status(admin).get("state", "") if admin else ""
    is_now = f" and is {state}" if state else ""
    last = f"it said last: {said}" if said else "it said nothing"
    return f"{name} was not ready after {within_s:.0f} s{is_now}; {last} (log: {log})"


def get(admin: str, path: str) -> tuple[int, bytes]:
    """GET from an admin server; status 0 when nobody answers."""
    host, _, port = admin.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=QUESTION_TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def status(admin: str) -> dict[str, Any]:
    """Return /status of a daemon, empty when it does not answer."""
    code, body = get(admin, "/status")
    if code != OK:
        return {}
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def node_ready(admin: str) -> bool:
    """Whether a node is up, stands by at the DR site, or is kept out because the DR site was promoted."""
    return status(admin).get("state") in ("up", "lacking", "standby", "fenced")


def up(admins: Iterable[str]) -> int:
    """Return how many of these nodes serve."""
    return sum(status(admin).get("state") == "up" for admin in admins)


def store_ready(admin: str) -> bool:
    """Whether a member of etcd has a leader and can be written to."""
    return get(admin, "/health")[0] == OK


def proxy_ready(admin: str, nodes: int) -> bool:
    """Whether a proxy serves and sees that many nodes up. Where an operator took all of them out it cannot serve, and
    is as ready as it will be."""
    seen = status(admin).get("nodes")
    if not isinstance(seen, list):
        return False
    known = [node for node in seen if isinstance(node, dict)]
    if any(node.get("administrative_state", "ready") == "ready" for node in known) and get(admin, "/readyz")[0] != OK:
        return False
    return sum(1 for node in known if node.get("state") == "up") >= nodes
