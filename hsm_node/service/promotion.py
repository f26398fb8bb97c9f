"""DR_PROMOTE and DR_VOUCH: nodes of the DR site serve from now on, in a higher epoch (docs/disaster-recovery.md).

Theory. A promotion is one transaction: the store's check record gets the next epoch and says that the DR site serves.
Every node finds it with its next contact. Where the productive sites took the store's quorum with them, the member of
the DR site was made a store of its own before, by `hsmctl dr promote --force`; for the nodes that is the same then. A
majority that is lost after a promotion is left in the same way, by one epoch more: the store that is left behind has
that of the promotion.

Proxies say who asks, and one that was taken over may say that it is an operator. This would have all productive nodes
fenced at once, so it is for root on the node's own host; so is the word that it did not come to that.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from hsm_cluster.cluster import Cluster
from hsm_daemon import logs
from hsm_node.core.keyring import Keyring
from hsm_node.core.refusal import Refusal
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.later import answer_later
from hsm_node.service.request import Request
from hsm_node.store.base import Store
from hsm_node.work.pool import Pool
from hsm_wire.administration import DrPromote, DrPromotion, DrVouch
from hsm_wire.messages import encode_body
from hsm_wire.statuses import Status

Address = tuple[str, int]
Answering = Callable[[dict[str, list[Address]]], Awaitable[Sequence[str]]]
"""Returns which of these nodes answer at one of their addresses."""

_log = logs.logger("hsm_node.promotion")


class Promotion:
    """Handler of the operation, and its rules."""

    def __init__(
        self, node: str, follower: Follower, keyring: Keyring, store: Store, writer: Pool, failures: Failures
    ) -> None:
        self._node = node
        self._follower = follower
        self._keyring = keyring
        self._store = store
        self._writer = writer
        self._failures = failures
        self._cluster = ""
        self._dr_sites: list[str] = []
        self._site = ""
        self._productive: dict[str, list[Address]] = {}
        self.answering: Answering = _nobody
        """Set by who can connect."""

    def configure(self, cluster: Cluster) -> None:
        """Take the cluster as it is configured now."""
        self._cluster = cluster.name
        self._dr_sites = cluster.recovery_sites
        self._site = cluster.node(self._node).site
        self._productive = {
            node.name: [(path.address.host, path.address.port) for path in node.paths]
            for node in cluster.nodes
            if node.site not in self._dr_sites
        }

    @property
    def standby(self) -> bool:
        """Whether this node only follows: its site is for disaster recovery, and was not promoted."""
        return self._site in self._dr_sites and not self._store.promoted

    def promote(self, request: Request, body: DrPromote) -> bytes | None:
        """DR_PROMOTE."""
        _check_local(request, "promote")
        self._check(body)
        return answer_later(request, self._promote(request, body), self._failures)

    def vouch(self, request: Request, body: DrVouch) -> bytes:
        """DR_VOUCH."""
        _check_local(request, "vouch")
        self._check_name(body.cluster)
        self._store.vouch()
        logs.event(_log, "warning", "an operator vouches that the DR site was not promoted", epoch=self._store.epoch)
        return self._answer()

    def _check_name(self, cluster: str) -> None:
        if cluster != self._cluster:
            raise Refusal(Status.BAD_REQUEST, f"this is cluster {self._cluster!r}, not {cluster!r}; give its name")

    def _check(self, body: DrPromote) -> None:
        """Refuse what cannot be meant."""
        if not self._dr_sites:
            raise Refusal(Status.BAD_REQUEST, f"cluster {self._cluster} has no DR site; there is nothing to promote")
        if self._site not in self._dr_sites:
            there = ", ".join(self._dr_sites)
            raise Refusal(Status.BAD_REQUEST, f"{self._node} is not of the DR site; promote on a host of {there}")
        self._check_name(body.cluster)
        if self._store.promoted and not body.force:
            raise self._done_before()
        if self._store.fenced:
            raise Refusal(Status.BAD_REQUEST, f"{self._node} is fenced; see its log, and bring it back first")

    async def _promote(self, request: Request, body: DrPromote) -> tuple[Status, bytes]:
        if not body.force:
            alive = await self.answering(self._productive)
            if alive:
                raise Refusal(
                    Status.BAD_REQUEST,
                    f"{', '.join(alive)} still answer{'s' if len(alive) == 1 else ''}; stop their sites first, "
                    "or say by --force that they are off",
                )
        if body.look:
            return Status.OK, self._answer()
        before = self._store.epoch if self._store.promoted else 0
        gone = sorted(self._productive) if body.force else []
        make = partial(self._store.promote, self._keyring, gone, body.epoch)
        await self._writer.run(request.deadline, make, asker=request)  # Fails where the majority was lost since.
        if before == self._store.epoch and not body.epoch:
            raise self._done_before()
        self._follower.follow()
        who = request.principal.identity
        logs.event(_log, "warning", "the DR site is promoted", epoch=self._store.epoch, who=who, forced=body.force)
        return Status.OK, self._answer()

    def _done_before(self) -> Refusal:
        text = f"the DR site was promoted already, in epoch {self._store.epoch}; there is nothing to do"
        return Refusal(Status.BAD_REQUEST, text)

    def _answer(self) -> bytes:
        return encode_body(DrPromotion(self._store.epoch, self._store.promoted))


def _check_local(request: Request, command: str) -> None:
    if not request.principal.is_local:
        text = f"that is for the node's own host only, over no network: `hsmctl dr {command}` there, as root"
        raise Refusal(Status.DENIED, text, not_executed=True)


async def _nobody(_addresses: dict[str, list[Address]]) -> Sequence[str]:
    """Say that nobody answers: there is nobody who could ask."""
    return []
