"""When a certificate that comes to its end is worth a line: two weeks before, a few days before, and every day then."""

from typing import Final

from proxy.core.notices import Notices

LOOK_S: Final = 60.0
"""Between looks."""
DAY_S: Final = 86_400.0
DAYS: Final = (14, 7, 3, 2, 1, 0)
"""Days left at which it is said again."""
URGENT_DAYS: Final = 3
"""From then on it is an error, and the cluster's health is degraded."""

EXPIRES: Final = "this proxy's certificate expires soon"
EXPIRED: Final = "this proxy's certificate has expired"


class Expiry:
    """The end of this proxy's own certificate."""

    __slots__ = ("_look_at", "_not_after", "_notices", "_said", "days_left")

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._look_at = 0.0
        self._not_after: float | None = None
        self._said = DAYS[0] + 1
        self.days_left: float | None = None
        """None without TLS, and before the first look."""

    def tick(self, not_after: float | None, wall: float, now: float) -> None:
        """Look when it is time; `wall` is seconds since 1970, as `not_after` is."""
        if now < self._look_at and not_after == self._not_after:
            return
        self._look_at = now + LOOK_S
        if not_after != self._not_after:
            self._not_after = not_after
            self._said = DAYS[0] + 1
        self.days_left = None if not_after is None else (not_after - wall) / DAY_S
        if self.days_left is None:
            return
        step = min((days for days in DAYS if self.days_left <= days), default=self._said)
        if step < self._said:
            self._said = step
            self._notices.add(
                EXPIRES if self.days_left > 0 else EXPIRED,
                level="error" if step <= URGENT_DAYS else "warning",
                days_left=round(self.days_left, 1),
                what="renew it and send SIGHUP",
            )
