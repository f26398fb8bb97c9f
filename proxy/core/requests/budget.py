"""How much may be sent again: a share of the requests, and a little more. A cluster in trouble must not be buried
in the retries of its own proxies; what is beyond the budget waits for it and is not refused."""

from proxy.core.settings import Settings


class RetryBudget:
    """A bucket of tokens, one for each attempt after a request's first."""

    __slots__ = ("_filled_at", "_requests", "_settings", "tokens")

    def __init__(self, settings: Settings, now: float) -> None:
        self._settings = settings
        self._filled_at = now
        self._requests = 0
        self.tokens = float(settings.retry.budget_burst)

    def fill(self, requests: int, now: float) -> None:
        """Add what the time and the requests since the last call are worth; `requests` counts from the start."""
        retry = self._settings.retry
        earned = retry.budget_share * (requests - self._requests) + retry.budget_per_s * (now - self._filled_at)
        self.tokens = min(float(retry.budget_burst), self.tokens + earned)
        self._requests = requests
        self._filled_at = now

    def take(self) -> bool:
        """Take one token; False where there is none."""
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True
