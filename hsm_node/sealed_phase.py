"""A node that waits for the shares of its master key: it is there, says so, and serves nobody."""

from collections.abc import Sequence
from typing import Any

from hsm_cluster.address import Address
from hsm_daemon import clock, logs
from hsm_node.config import KeystoreConfig
from hsm_node.core.unsealing import Unsealing
from hsm_node.metrics import Gauge, Labels
from hsm_node.next_master_key import Succession
from hsm_node.phase import Facts
from hsm_node.service.sealed_service import SealedService
from hsm_wire.messages import Pong

_log = logs.logger("hsm_node.seal")


class SealedPhase:
    """Implements `Phase` without a key."""

    sealed = True
    ready = False
    keys = 0
    epoch = 0

    def __init__(self, facts: Facts, unsealing: Unsealing | None = None) -> None:
        """Wait; `unsealing` has the shares, None where the key comes from elsewhere, in a moment."""
        self.service = SealedService()
        self._facts = facts
        self._unsealing = unsealing

    def pong(self) -> Pong:
        facts = self._facts
        # No cluster id, no epoch: it follows no store, whatever this host has seen, so there is nothing to compare.
        return Pong(
            boot_id=facts.boot_id,
            queue_depth=0,
            sessions=facts.config.sessions,
            window=0,
            completed=facts.requests.completed,
            store_contact="stale",
            state="sealed",
            backend=facts.config.backend_kind,
        )

    def status(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "state": "sealed",
            "boot_id": self._facts.boot_id.hex(),
            "completed": self._facts.requests.completed,
        }
        if self._unsealing is not None:
            # How many are needed stands in the shares: until the first one comes nobody knows it.
            shown["shares"] = {"given": self._unsealing.given, "needed": self._unsealing.needed or None}
        return shown

    def gauges(self) -> list[Gauge]:
        return []

    def labels(self) -> list[Labels]:
        return []

    def succession(self, _config: KeystoreConfig) -> Succession | None:
        return None  # It is read when there is a key to hold it beside.

    def renew(self, _endpoints: Sequence[Address]) -> None:
        """The store is not open: its files are read when it is."""

    def reconfigured(self) -> None:
        """Nothing here was made of the configuration."""

    def served(self, requests: int, seconds: float) -> None:
        """A refusal tells nothing of the time that requests take."""

    def beat(self) -> None:
        """There is no window to reckon."""

    def sweep(self) -> None:
        if self._unsealing is not None:
            forgotten = self._unsealing.sweep(clock.monotonic())
            if forgotten:
                what = "give all of the set again"
                logs.event(_log, "warning", "shares are forgotten: their time is over", shares=forgotten, what=what)

    def stopped(self) -> None:
        """It never was in the store."""

    def close(self) -> None:
        if self._unsealing is not None:
            self._unsealing.forget()
