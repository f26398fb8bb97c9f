"""What a node is by turns: sealed, while it waits for its master key, and open from then on."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from hsm_cluster.address import Address
from hsm_cluster.cluster import Cluster
from hsm_node.config import KeystoreConfig, NodeConfig
from hsm_node.metrics import Gauge, Labels, RequestCounts
from hsm_node.next_master_key import Succession
from hsm_node.service.request import Serving
from hsm_wire.messages import Pong


class Facts:
    """What is known of a node in either phase."""

    def __init__(self, config: NodeConfig, cluster: Cluster, boot_id: bytes) -> None:
        self.config = config
        """In use; a reload may replace it."""
        self.cluster = cluster
        """The same."""
        self.boot_id = boot_id
        self.requests = RequestCounts()
        self.proxies: Callable[[], int] = lambda: 0
        """Distinct proxies that are connected."""


class Phase(Protocol):
    """Who serves, and what the node says of itself meanwhile."""

    @property
    def service(self) -> Serving: ...

    @property
    def ready(self) -> bool:
        """Whether it would serve a request now."""

    @property
    def sealed(self) -> bool: ...

    @property
    def keys(self) -> int:
        """Keys that are not destroyed, as far as it knows."""

    @property
    def epoch(self) -> int:
        """Of the store that is followed; 0: none is."""

    def pong(self) -> Pong:
        """Return what proxies are told."""

    def status(self) -> dict[str, Any]:
        """Return what /status tells besides the name."""

    def gauges(self) -> list[Gauge]:
        """Return the numbers of /metrics that only this phase has."""

    def labels(self) -> list[Labels]:
        """Return such families by label."""

    def succession(self, config: KeystoreConfig) -> Succession | None:
        """Return what a new configuration changes in the master keys that are held, nothing of it done yet.

        Raises:
            StartError: they cannot be read, or cannot be held now.
        """

    def renew(self, endpoints: Sequence[Address]) -> None:
        """Read the certificate files of the store anew, and use these members of it.

        Raises:
            StartError: they cannot be read; nothing has changed.
        """

    def reconfigured(self) -> None:
        """Take up what a reload changed in the facts."""

    def served(self, requests: int, seconds: float) -> None:
        """Note that a batch was served on the loop."""

    def beat(self) -> None:
        """Note that the loop turns."""

    def sweep(self) -> None:
        """Do what is due; called several times a second."""

    def stopped(self) -> None:
        """Say, in a thread, that nothing is served any more."""

    def close(self) -> None:
        """End what was begun."""
