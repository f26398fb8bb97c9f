"""Lines about single requests: made of what the core noted of them."""

import logging

from hsm_daemon import logs
from hsm_daemon.log_settings import LogSettings
from proxy.core.requests.request_notes import RequestNotes

_log = logs.logger("proxy.requests")


class RequestLog:
    """Writes what `RequestNotes` keeps."""

    def __init__(self, notes: RequestNotes, settings: LogSettings) -> None:
        self._notes = notes
        self.use(settings)

    def use(self, settings: LogSettings) -> None:
        """Note what these settings ask for; they are those of `logs` already."""
        self._notes.choose(settings.slow_request_s, every=_log.isEnabledFor(logging.DEBUG))

    def tick(self, now: float) -> None:
        """Write a line for each request that was noted since the last beat."""
        for notice in self._notes.take(now):
            logs.event(_log, notice.level, notice.text, **notice.fields)
