"""What happens to workers: each a line of the parent's log and an event, as `proxy.net.journal` does it for nodes."""

import logging
from collections.abc import Callable

from hsm_daemon import clock, logs
from proxy.core.reporting.sentences import sentence
from proxy.workers.messages import Told


class ParentJournal:
    """Writes both."""

    def __init__(self, remember: Callable[[Told], None]) -> None:
        """Begin; `remember` takes the events."""
        self._remember = remember

    def tell(self, log: logging.Logger, level: str, text: str, **fields: object) -> None:
        """Write a line, and remember it as an event."""
        logs.event(log, level, text, **fields)
        self._remember(Told(clock.now(), level, sentence(text, fields), "", ""))
