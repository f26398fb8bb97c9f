"""What happens to nodes, paths and this proxy: each a line of the log and an event, made in this one place, so that
the two cannot differ."""

import logging
from collections.abc import Callable

from hsm_daemon import clock, logs
from proxy.core.reporting.events import RecentEvents
from proxy.core.reporting.sentences import sentence
from proxy.core.requests.dispatcher import Dispatcher

_nodes_log = logs.logger("proxy.nodes")
_SEVERITY = {"critical": "error", "debug": "info"}


class Journal:
    """Writes both."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        events: RecentEvents | None = None,
        changed: Callable[[str], None] = lambda _node: None,
    ) -> None:
        """Begin; `events` are kept there, and of each change of a state `changed` is told whose it is."""
        self.events = events or RecentEvents()
        self._dispatcher = dispatcher
        self._changed = changed

    def tell(self, log: logging.Logger, level: str, text: str, **fields: object) -> None:
        """Write a line, and remember it as an event; a field `node` says whom it is about."""
        logs.event(log, level, text, **fields)
        self.remember(level, sentence(text, fields), str(fields.get("node", "")))

    def remember(self, level: str, what: str, node: str = "") -> None:
        """Remember an event whose line somebody else writes."""
        site = next((each.site for each in self._dispatcher.table.nodes if each.name == node), "")
        self.events.add(clock.now(), _SEVERITY.get(level, level), what, site=site, node=node)

    def take_changes(self) -> None:
        """Tell each change of a state, with its reason, and what else the core noticed."""
        for change in self._dispatcher.table.take_changes():
            path = {"path": change.path} if change.path else {}
            text = "path changed" if change.path else "node changed"
            fields = {"node": change.node, **path, "before": change.before, "after": change.after}
            logs.event(_nodes_log, change.level, text, **fields, reason=change.reason)
            self.remember(change.level, change.what, change.node)
            self._changed(change.node)
        for notice in self._dispatcher.notices.take():
            self.tell(_nodes_log, notice.level, notice.text, **notice.fields)
