"""When a certificate that comes to its end is worth a line: two weeks before, a few days before, and every day then.
Of one that lives for less than six weeks the steps are shorter in proportion: whoever renews daily is not warned daily.
"""

from typing import Final

from proxy.core.notices import Notices

LOOK_S: Final = 60.0
"""Between looks."""
DAY_S: Final = 86_400.0
DAYS: Final = (14, 7, 3, 2, 1, 0)
"""Days left at which it is said again."""
URGENT_DAYS: Final = 2
"""From then on it is an error, the cluster's health is degraded, and the alert is critical."""
LIFE_DAYS: Final = 42
"""Life of a certificate from which on the steps are whole days: the first one is when a third of it is left."""
EXPIRES: Final = "this proxy's certificate expires soon"
EXPIRED: Final = "this proxy's certificate has expired"


class Expiry:
    """The end of this proxy's own certificate."""

    __slots__ = ("_look_at", "_notices", "_said", "_validity", "urgent_s")

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._look_at = 0.0
        self._validity: tuple[float, float] | None = None
        self._said = DAYS[0] + 1
        self.urgent_s: float | None = None
        """Seconds left, once it is urgent; below 0 afterwards."""

    def tick(self, validity: tuple[float, float] | None, wall: float, now: float) -> None:
        """Look when it is time.

        Args:
            validity: the certificate's begin and end in seconds since 1970; None without TLS.
            wall: the same for this moment.
            now: the clock's monotonic time.
        """
        if now < self._look_at and validity == self._validity:
            return
        self._look_at = now + LOOK_S
        if validity != self._validity:
            self._validity = validity
            self._said = DAYS[0] + 1
        self.urgent_s = None
        if validity is None:
            return
        begin, end = validity
        left_s, day_s = end - wall, DAY_S * min(1.0, (end - begin) / (LIFE_DAYS * DAY_S))
        step = min((days for days in DAYS if left_s <= days * day_s), default=DAYS[0] + 1)
        urgent = step <= URGENT_DAYS
        if urgent:
            self.urgent_s = left_s
        if step < self._said:
            self._said = step
            level = "error" if urgent else "warning"
            words = EXPIRES if left_s > 0 else EXPIRED
            self._notices.add(words, level=level, left_s=round(left_s), what="renew it and send SIGHUP")
