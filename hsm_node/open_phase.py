"""A node that has its keys: what it says of itself."""

from collections.abc import Sequence
from typing import Any, Final

from hsm_cluster.address import Address
from hsm_daemon import clock, logs
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.config import KeystoreConfig
from hsm_node.gauges import keystore_gauges, keystore_labels
from hsm_node.keystore import Keystore
from hsm_node.metrics import Gauge, Labels
from hsm_node.next_master_key import Succession
from hsm_node.phase import Facts
from hsm_node.service.request import Serving
from hsm_node.store.base import StoreError
from hsm_wire.limits import MAX_NAME_CHARACTERS, MAX_NODES_OUT
from hsm_wire.messages import Pong, StoreMember

MAX_LAG_MS: Final = 0xFFFF_FFFF
"""What the field holds: 49 days."""
_log = logs.logger("hsm_node")


class OpenPhase:
    """Implements `Phase` with a keystore."""

    sealed = False

    def __init__(self, facts: Facts, keystore: Keystore, link: DeviceLink | None = None) -> None:
        self.keystore = keystore
        self._link = link
        self._facts = facts
        keystore.recovery.state = self._state

    @property
    def sessions(self) -> int:
        """How many operations can run side by side: as many as are configured, or fewer where the device gives fewer
        sessions. One of those is for what makes keys and MACs."""
        wanted = self._facts.config.sessions
        return wanted if self._link is None else max(1, min(wanted, self._link.sessions - 1))

    @property
    def service(self) -> Serving:
        return self.keystore.service

    @property
    def ready(self) -> bool:
        self.keystore.follower.follow()  # Nobody may have asked for a key since the store went or came back.
        return self.keystore.follower.current and (self._link is None or not self._link.reason)

    @property
    def keys(self) -> int:
        return self.keystore.table.live

    @property
    def epoch(self) -> int:
        return self.keystore.store.epoch

    def pong(self) -> Pong:
        keystore, facts = self.keystore, self._facts
        keystore.follower.follow()
        keystore.window.sessions = self.sessions
        return Pong(
            boot_id=facts.boot_id,
            queue_depth=keystore.sessions.waiting,
            sessions=self.sessions,
            window=keystore.window.advertised(facts.proxies()),
            completed=facts.requests.completed,
            generating=keystore.generation.running + keystore.generation.waiting,
            applied_revision=keystore.follower.applied_revision,
            cluster_id=keystore.store.cluster_id,
            epoch=keystore.store.epoch,
            store_contact="current" if keystore.follower.current else "stale",
            state=self._state(),
            administrative_state=self._administrative_state(),
            seen_digest=keystore.follower.ledger.digest,
            seen_revision=keystore.follower.ledger.revision,
            seen_writes=keystore.follower.ledger.writes,
            lag_ms=self._lag_ms(),
            nodes_out=list(keystore.store.out)[:MAX_NODES_OUT],
            store_members=self._members(),
            reason=self._reason()[:MAX_NAME_CHARACTERS],
            backend=facts.config.backend_kind,
        )

    def status(self) -> dict[str, Any]:
        keystore, facts = self.keystore, self._facts
        keystore.follower.follow()
        return {
            "state": self._state(),
            "reason": self._reason(),
            "backend": facts.config.backend_kind,
            "administrative_state": self._administrative_state(),
            "boot_id": facts.boot_id.hex(),
            "completed": facts.requests.completed,
            "queue_depth": keystore.sessions.waiting,
            "sessions": self.sessions,
            "window": keystore.window.advertised(facts.proxies()),
            "applied_revision": keystore.follower.applied_revision,
            "lag_ms": self._lag_ms(),
            "keys": keystore.table.live,
        }

    def gauges(self) -> list[Gauge]:
        return keystore_gauges(self.keystore, lambda: self.sessions, self._facts.proxies)

    def labels(self) -> list[Labels]:
        return keystore_labels(self.keystore, self._facts.config.name)

    def succession(self, config: KeystoreConfig) -> Succession | None:
        keystore = self.keystore
        if config == self._facts.config.keystore and config.next_master_key is None:
            return None  # The same key as before: its file need not be there any more.
        return Succession(keystore.keyring, config, settled=keystore.master_keys.settled)

    def renew(self, endpoints: Sequence[Address]) -> None:
        self.keystore.store.renew(endpoints)

    def reconfigured(self) -> None:
        self.keystore.configure(self._facts.cluster)
        self.keystore.drills.settings = self._facts.config.recovery

    def served(self, requests: int, seconds: float) -> None:
        self.keystore.window.served(seconds / requests)

    def beat(self) -> None:
        self.keystore.window.turned(clock.thread_s(), self._facts.requests.total)

    def sweep(self) -> None:
        self.keystore.sweep()

    def stopped(self) -> None:
        try:
            self.keystore.store.stopped()
        except StoreError as error:
            what = "changes wait for this node, and name it, until it is back"
            logs.event(_log, "warning", "the store was not told that this node stops", reason=str(error), what=what)

    def close(self) -> None:
        self.keystore.close()

    def _administrative_state(self) -> str:
        return self.keystore.administration.state_of(self._facts.config.name)

    def _lag_ms(self) -> int | None:
        lag_s = self.keystore.follower.lag_s
        return None if lag_s is None else min(int(lag_s * 1000), MAX_LAG_MS)

    def _members(self) -> list[StoreMember]:
        members = self.keystore.store.members.items()
        return [StoreMember(address, wrong[:MAX_NAME_CHARACTERS]) for address, wrong in members]

    def _state(self) -> str:
        if self.keystore.store.fenced:
            return "fenced"
        if self._link is not None and self._link.reason:
            return "locked" if self._link.locked else "down"
        # A node of the DR site holds every key and serves nobody until it is promoted.
        if self.keystore.promotion.standby:
            return "standby"
        if not self.keystore.follower.current:
            return "stale"
        return "lacking" if self.keystore.offers.lacks else "up"

    def _reason(self) -> str:
        """Say why the device cannot be asked, or which stored keys cannot be used here."""
        return (self._link is not None and self._link.reason) or self.keystore.offers.lacks
