"""DR_PROMOTE, DR_VOUCH and DR_DEMOTE: nodes of the DR site serve, in a higher epoch, and stand by again
(docs/disaster-recovery.md).

Theory. A promotion is one transaction: the store's check record gets the next epoch and says that the DR site serves.
Every node finds it with its next contact. Where the productive sites took the store's quorum with them, the member of
the DR site was made a store of its own before, by `hsmctl dr promote --force`; for the nodes that is the same then. A
majority that is lost after a promotion is left in the same way, by one epoch more: the store that is left behind has
that of the promotion. Its copy may lack the last promotion, which a node here has seen: then that node is fenced at it,
and takes a promotion above all that it has seen, and no other one.

The way back is one transaction too, and no new epoch: it leaves no store behind. It waits for nothing, so it is refused
until the old sites have everything: every member of the store, and each node of theirs that follows it.

Proxies say who asks, and one that was taken over may say that it is an operator. This would have all productive nodes
fenced at once, so it is for root on the node's own host; so is the word that it did not come to that.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from hsm_cluster.cluster import Cluster
from hsm_daemon import logs
from hsm_node.core.confirmations import WAIT_S
from hsm_node.core.keyring import Keyring
from hsm_node.core.refusal import Refusal
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.later import answer_later
from hsm_node.service.request import Request
from hsm_node.store.base import Lag, Store
from hsm_node.work.pool import Pool
from hsm_wire import limits
from hsm_wire.administration import DrDemote, DrPromote, DrPromotion, DrReturn, DrVouch
from hsm_wire.messages import encode_body
from hsm_wire.statuses import Status

Address = tuple[str, int]
Answering = Callable[[dict[str, list[Address]]], Awaitable[Sequence[str]]]
"""Returns which of these nodes answer at one of their addresses."""
Unjoined = Callable[[Request], Awaitable[int]]
"""Returns how many records the other side would still take over from this one."""

_ROOM_CHARACTERS: Final = limits.MAX_DETAIL_CHARACTERS - 100
"""For what is missing, in an answer that says more than that."""

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
        self._sites: dict[str, str] = {}
        """Productive node -> its site."""
        self.answering: Answering = _nobody
        """Set by who can connect."""
        self.unjoined: Unjoined = _nothing
        """Set by who can read both sides."""

    def configure(self, cluster: Cluster) -> None:
        """Take the cluster as it is configured now."""
        self._cluster = cluster.name
        self._dr_sites = cluster.recovery_sites
        self._site = cluster.node(self._node).site
        self._sites = {node.name: node.site for node in cluster.nodes if node.site not in self._dr_sites}
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

    @property
    def fenced(self) -> bool:
        """Whether this node serves nothing: most likely a promotion has left its store behind."""
        return self._store.fenced

    def demote(self, request: Request, body: DrDemote) -> bytes | None:
        """DR_DEMOTE."""
        _check_local(request, "demote")
        self._check_site("demote", look=body.look)
        self._check_name(body.cluster)
        if not body.look and not self._store.promoted:
            text = f"the DR site stands by, in epoch {self._store.epoch}: it was not promoted; there is nothing to do"
            raise Refusal(Status.BAD_REQUEST, text)
        return answer_later(request, self._demote(request, body), self._failures)

    async def _demote(self, request: Request, body: DrDemote) -> tuple[Status, bytes]:
        store, lacking = self._store, list[str]()
        if store.promoted and not store.fenced and self._site in self._dr_sites:
            lacking = self._lacking(await self._writer.run(request.deadline, store.lag, asker=request))
        if not body.look:
            if lacking:
                text = f"the old sites have not caught up: {_some_of(lacking)}; see docs/disaster-recovery.md"
                raise Refusal(Status.BAD_REQUEST, text)
            await self._writer.run(request.deadline, partial(store.demote, self._keyring), asker=request)
            self._follower.follow()
            who = request.principal.identity
            logs.event(_log, "warning", "the DR site stands by again", epoch=store.epoch, who=who)
        unjoined = await self.unjoined(request) if body.look and body.compare else 0
        back = DrReturn(self._node, self._site, store.epoch, store.seen_epoch, store.promoted, lacking, unjoined)
        return Status.OK, encode_body(back)

    def _lacking(self, lag: Lag) -> list[str]:
        """Return what is missing until the old sites can take over, a sentence each."""
        sites: dict[str, list[str]] = {}
        for node, site in self._sites.items():
            sites.setdefault(site, []).append(node)
        found = [
            f"no node of {site} follows this store" for site, nodes in sites.items() if not lag.nodes.keys() & nodes
        ]
        found += [
            f"{node} has not confirmed {changes} changes, {WAIT_S:g} s after they were made: it is down, or slow"
            for node, changes in sorted(lag.nodes.items())
            if changes and node in self._sites
        ]
        return found + [f"the member {member}: {wrong}" for member, wrong in sorted(lag.members.items())]

    def vouch(self, request: Request, body: DrVouch) -> bytes:
        """DR_VOUCH."""
        _check_local(request, "vouch")
        self._check_site("vouch", look=True)
        self._check_name(body.cluster)
        if self._store.fenced:
            text = f"{self._node} is fenced: a promotion has left its store behind; bring it back by `hsmctl dr rejoin`"
            raise Refusal(Status.BAD_REQUEST, text)
        self._store.vouch()
        logs.event(_log, "warning", "an operator vouches that the DR site was not promoted", epoch=self._store.epoch)
        return self._answer()

    def _check_name(self, cluster: str) -> None:
        if cluster != self._cluster:
            raise Refusal(Status.BAD_REQUEST, f"this is cluster {self._cluster!r}, not {cluster!r}; give its name")

    def _check_site(self, command: str, *, look: bool = False) -> None:
        if not self._dr_sites:
            raise Refusal(Status.BAD_REQUEST, f"cluster {self._cluster} has no DR site; there is nothing to {command}")
        if self._site not in self._dr_sites and not look:
            there = ", ".join(self._dr_sites)
            raise Refusal(Status.BAD_REQUEST, f"{self._node} is not of the DR site; {command} on a host of {there}")

    def _check(self, body: DrPromote) -> None:
        """Refuse what cannot be meant."""
        self._check_site("promote")
        self._check_name(body.cluster)
        if self._store.promoted and not body.force:
            raise self._done_before()
        if self._store.fenced and not (body.force and self._store.outlived and self._is_above(body)):
            raise Refusal(Status.BAD_REQUEST, f"{self._node} is fenced; see its log, and bring it back first")

    def _is_above(self, body: DrPromote) -> bool:
        """Whether the store would have an epoch that nobody has seen."""
        return body.look or body.epoch > self._store.seen_epoch

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
            return Status.OK, encode_body(DrPromotion(self._store.seen_epoch, self._store.promoted))
        if body.epoch and not await self._writer.run(request.deadline, self._store.has_dr_member, asker=request):
            # That epoch is for the store of its own. In two stores it would tell nobody which one goes on.
            raise Refusal(
                Status.BAD_REQUEST,
                f"{self._node} follows another store than the member of the DR site is of; start it again, and then "
                "run the command again",
            )
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


def _some_of(sentences: Sequence[str]) -> str:
    """Return those that have room in one answer, and how many more there are."""
    shown = sentences[:1]
    for sentence in sentences[1:]:
        if len("; ".join((*shown, sentence))) > _ROOM_CHARACTERS:
            break
        shown = [*shown, sentence]
    left = len(sentences) - len(shown)
    return "; ".join(shown) + (f"; and {left} more" if left else "")


def _check_local(request: Request, command: str) -> None:
    if not request.principal.is_local:
        text = f"that is for the node's own host only, over no network: `hsmctl dr {command}` there, as root"
        raise Refusal(Status.DENIED, text, not_executed=True)


async def _nobody(_addresses: dict[str, list[Address]]) -> Sequence[str]:
    """Say that nobody answers: there is nobody who could ask."""
    return []


async def _nothing(_request: Request) -> int:
    """Say that there is nothing: there is nobody who could look."""
    return 0
