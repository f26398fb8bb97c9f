"""Tells each node what other nodes have counted, and asks what it knows: USAGE, every second, and at once when a node
has been connected.

Theory. Nodes do not speak with each other: what one has counted reaches the others, and by them the other proxies,
through any proxy. So a proxy that starts hears from the first node what it needs, also of nodes that are lost; and a
node that lost its disk hears its own counts again. A question is no request of a client: it is in no window, its link
does not owe the answer, and a node that does not answer is asked again and not suspected; whether it lives others find
out.

With another configuration other rows are believed (`hsm_cluster.usage_claims`), here and at nodes: so everything is
asked and told once more.
"""

from typing import Final

from hsm_cluster.usage import Row
from hsm_wire import kinds
from hsm_wire.errors import BodyError
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.limits import MAX_USAGE_ROWS
from hsm_wire.messages import UsageNews, UsageReport, UsageRow, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.notices import Notices
from proxy.core.parties import Link
from proxy.core.principals import Bound
from proxy.core.quota.quotas import Quotas

EVERY_S: Final = 1.0
"""Between two questions: what is done meanwhile may go beyond a quota."""
PATIENCE_S: Final = 2.0
"""Time for an answer; then it is asked again."""
LATELY_S: Final = 5.0
"""What a node tells after a longer silence happened nobody knows when (`generation_rate`)."""
_USAGE: Final = int(Opcode.USAGE)


class _Peer:
    """What one node and this proxy have told each other over one link."""

    __slots__ = (
        "after",
        "anew",
        "asked_at",
        "asked_id",
        "boot_id",
        "heard_at",
        "link",
        "next_at",
        "synced",
        "telling",
        "told",
        "unable",
    )

    def __init__(self, link: Link, now: float) -> None:
        self.link = link
        self.boot_id = b""
        self.after = 0
        """Number of the newest change that the node has told."""
        self.told = 0
        """Number of the newest change of this proxy that the node has been told."""
        self.telling = 0
        """The same once it answers."""
        self.asked_id = 0
        """Of the question under way; 0: there is none."""
        self.asked_at = now
        self.next_at = now
        self.heard_at = now
        """When it told last."""
        self.synced = False
        """It has told all that it knew."""
        self.unable = False
        """It is an older one, or of another make."""
        self.anew = False
        """Everything is to be asked and told once more."""

    def begin_anew(self) -> None:
        """Know nothing of what was asked and told before."""
        self.boot_id = b""
        self.after = self.told = 0
        self.synced = self.anew = False


class UsageExchange:
    """The exchange with all nodes."""

    def __init__(self, table: NodeTable, quotas: Quotas, who: Bound, notices: Notices) -> None:
        """Ask nobody yet; `who`: this proxy itself."""
        self._notices = notices
        self._liars: set[str] = set()
        self._table = table
        self._quotas = quotas
        self._who = who
        self._peers: dict[Node, _Peer] = {}

    @property
    def complete(self) -> bool:
        """Whether every node in rotation has told what it knows, and there is one."""
        peers = [self._peers.get(node) for node in self._table.rotation]
        return bool(peers) and all(peer is not None and (peer.synced or peer.unable) for peer in peers)

    def tick(self, now: float) -> None:
        """Ask whom it is time to ask."""
        self._quotas.tick(now)
        for node in self._table.nodes:
            link = node.link or next((path.link for path in node.paths if path.link is not None), None)
            peer = self._peers.get(node)
            if link is None or link.leaving:
                continue
            if peer is None or peer.link is not link:
                peer = self._peers[node] = _Peer(link, now)
            if now >= peer.next_at and not peer.unable and (not peer.asked_id or now - peer.asked_at >= PATIENCE_S):
                self._ask(node, peer, now)

    def reconfigured(self) -> None:
        """Forget nodes that were taken out, and begin anew with the others."""
        self._peers = {node: peer for node, peer in self._peers.items() if node in self._table.nodes}
        self._liars.clear()
        for peer in self._peers.values():
            peer.anew = True
        self._quotas.forget({node.name for node in self._table.nodes})

    def answered(self, link: Link, frame: Frame, now: float) -> bool:
        """Take an answer that nothing in flight waits for; False: it is none to a question of this exchange."""
        peer = self._peers.get(link.node)
        if peer is None or peer.link is not link or frame.opcode != _USAGE or frame.request_id != peer.asked_id:
            return False
        peer.asked_id = 0
        if frame.status == Status.OK:
            try:
                self._hear(link.node, peer, decode_body(UsageNews, frame.body), now)
            except BodyError:
                peer.unable = True
        elif frame.status == Status.UNKNOWN_OPERATION:
            peer.unable = True
        return True

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _ask(self, node: Node, peer: _Peer, now: float) -> None:
        link, who = peer.link, self._who
        if who.number not in link.announced:
            link.announced.add(who.number)
            link.sink(who.bind_frame)
        if peer.anew:
            peer.begin_anew()
        # A node knows its own counts best, unless it has just begun.
        news = self._quotas.usage.news(peer.told, MAX_USAGE_ROWS, but=node.name if peer.told else "")
        peer.telling = news.newest
        peer.asked_id, peer.asked_at, peer.next_at = link.take_own_id(), now, now + EVERY_S
        report = UsageReport(peer.boot_id, peer.after, [UsageRow(*row) for row in news.rows])
        link.sink(
            encode_frame(
                kinds.REQUEST,
                encode_body(report),
                request_id=peer.asked_id,
                timeout_ms=int(PATIENCE_S * 1000),
                principal=who.number,
                opcode=_USAGE,
            )
        )

    def _hear(self, node: Node, peer: _Peer, news: UsageNews, now: float) -> None:
        # Rows that it has just told need not be told back to it, but other nodes must hear of them.
        lately = peer.synced and now - peer.heard_at <= LATELY_S
        rows = [Row(*(getattr(row, name) for name in Row._fields)) for row in news.rows]
        claims = self._quotas.usage.claims
        refused = claims.refused
        self._quotas.hear(rows, now, lately=lately)
        if claims.refused > refused and node.name not in self._liars:
            self._liars.add(node.name)  # The metric says how many there are; one line is enough.
            what = "compare its cluster.toml; if it is the same, take the node out and see docs/security.md"
            self._notices.add("a node told of use that cannot be", node=node.name, what=what)
        peer.heard_at = now
        self._quotas.hear_stored(node.name, {row.partition: row.keys for row in news.stored})
        peer.told = peer.telling
        peer.boot_id, peer.after = news.boot_id, news.newest
        peer.synced = peer.synced or not news.more
        if news.more:
            peer.next_at = now
