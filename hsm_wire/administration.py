"""Bodies of the administration range (0x04xx), for principals with role `operate`.

The numbers and forms are settled; a node that does not offer them answers UNKNOWN_OPERATION.
"""

from typing import Annotated

import msgspec

from hsm_wire.forms import U63, Body, Name


class NodeState(Body, frozen=True):
    """One node as the store has it."""

    node: Name
    administrative_state: Name
    epoch: U63


class ClusterState(Body, frozen=True):
    """Answer to CLUSTER_STATE."""

    cluster: Name
    epoch: U63
    nodes: list[NodeState]


class SetNodeState(Body, frozen=True):
    """SET_NODE_STATE: ready, drain or maintain."""

    node: Name
    administrative_state: Name


class RemoveNode(Body, frozen=True):
    """REMOVE_NODE: of a node that is out of the configuration and off for good; changes no longer wait for it."""

    node: Name


class RemovedNode(Body, frozen=True):
    """Answer to REMOVE_NODE."""

    node: Name
    was_registered: bool
    """False: nobody waited for it; the same request may have been executed before."""
    registered: list[Name]
    """Nodes that changes wait for now."""


class DrillReport(Body, frozen=True):
    """Answer to DR_DRILL, and what DR_STATUS tells of the last drill."""

    node: Name
    """That made it."""
    at: U63
    """When it began, seconds since 1970."""
    took_ms: U63
    good: bool
    """A promotion would have had what it needs."""
    whole: bool
    """Every key was used, not some of them."""
    commanded: bool
    """An operator asked for it."""
    keys: U63
    """That were used."""
    failed: U63
    """Of these, keys that do not work."""
    records: U63
    """That the site's own copy of the store has, all of them read and authenticated."""
    refused: U63
    """Of these, records that must not be used, and records that it lacks."""
    lag_records: U63 | None = None
    """RPO: changes that the copy did not have yet; nil: nobody knows."""
    lag_ms: U63 | None = None
    """RPO: how long it took until it had them; nil: nobody knows."""
    rto_ms: U63 | None = None
    """RTO: from the command until everything that the keys are for was done with them once; nil: it was not."""
    kinds: list[Name] = msgspec.field(default_factory=list)
    """What was done with keys, a line for each type."""
    faults: list[Name] = msgspec.field(default_factory=list)
    """What would fail, a sentence each."""


class DrProblem(Body, frozen=True):
    """Something that is wrong with the DR site."""

    what: Name
    advice: Name
    """What to do."""


class DrStatus(Body, frozen=True):
    """Answer to DR_STATUS, as a node of the DR site sees it."""

    cluster: Name
    package: Name
    site: Name
    """The node's own."""
    node: Name
    state: Name
    """Operational state, as in PONG."""
    epoch: U63
    """Counts promotions."""
    promoted: bool
    """The DR site serves."""
    keys: U63
    """That the node holds."""
    objective_ms: U63
    """The most that may be lost."""
    drill_interval_ms: U63
    """From one drill to the next."""
    lag_records: U63 | None = None
    """Changes that the site's own copy of the store lacks; nil: nobody knows."""
    lag_ms: U63 | None = None
    """For how long it has lacked something; nil: nobody knows."""
    last: DrillReport | None = None
    """The last drill; nil: there was none."""
    last_good: U63 = 0
    """When the last good one began, seconds since 1970; 0: there was none."""
    problems: list[DrProblem] = msgspec.field(default_factory=list)
    """Empty: all is well."""


class DrPromote(Body, frozen=True):
    """DR_PROMOTE, on the node's local socket only: `cluster` is the cluster's name, typed by the operator."""

    cluster: Name
    force: bool = False
    """The operator says that the productive sites are off: their nodes are not looked for, nor waited for."""
    look: bool = False
    """Only say whether it would be done."""
    epoch: U63 = 0
    """The least that the store is to have, if the DR site's member was made a store of its own: what it was before may
    have been promoted already. 0: it was not."""


class DrVouch(Body, frozen=True):
    """DR_VOUCH: the operator says that the DR site was not promoted while this node was away.

    A node takes it over its local socket only; over a network it answers DENIED.
    """

    cluster: Name


class DrDemote(Body, frozen=True):
    """DR_DEMOTE, on the node's local socket only: `cluster` is the cluster's name, typed by the operator."""

    cluster: Name
    look: bool = False
    """Only say how it is; that any node of the cluster does."""
    compare: bool = False
    """Where it is only looked, at a node that a promotion has left behind: count what DR_RECONCILE would still take
    over. Refused where members of both stores cannot be read."""


class DrReturn(Body, frozen=True):
    """Answer to DR_DEMOTE: the way back, as a node sees it."""

    node: Name
    site: Name
    epoch: U63
    """Of the store that it follows."""
    seen_epoch: U63
    """The highest that it has seen: above `epoch` where a promotion has left its store behind."""
    promoted: bool
    """The DR site serves."""
    lacking: list[Name] = msgspec.field(default_factory=list)
    """What the old sites lack before they can take over, a sentence each; only of a node of a DR site that serves."""
    unjoined: U63 = 0
    """Records that the store which was left behind has, and the one that went on has not, or not as strict. 0 where
    that was not asked."""


class DrPromotion(Body, frozen=True):
    """Answer to DR_PROMOTE and DR_VOUCH."""

    epoch: U63
    """Counts promotions. Where it was only looked: the highest that the node has seen, which its store may lack."""
    promoted: bool
    """The DR site serves; not yet where it was only looked."""


class Report(Body, frozen=True):
    """Answer of ROTATE_MASTER_KEY and UNSEAL: lines to read."""

    ok: bool
    lines: list[Name]


class NodeMasterKeys(Body, frozen=True):
    """The master keys that one node says it holds, by their fingerprints, the oldest first."""

    node: Name
    held: list[Name]
    """Empty: it has said nothing, as nobody has in a cluster whose master key was never rotated."""
    used: Name
    """The one that it seals records under."""


class MasterKeyStatus(Body, frozen=True):
    """Answer to MASTER_KEY_STATUS, as the node sees it that answers. A fingerprint tells keys apart and no more."""

    node: Name
    version: U63
    """Counts rotations, from 1."""
    fingerprint: Name
    """Of the master key in use."""
    next_fingerprint: Name
    """Of the one that ROTATE_MASTER_KEY would take into use; empty: this node holds none."""
    records: U63
    """Rows that the store has."""
    left: U63
    """Of these, rows that are under another master key than the one in use."""
    refused: U63
    """Rows that must not be used, which no rotation touches."""
    settled: bool
    """Nothing is left, and every node seals under the master key in use: the old one may go."""
    nodes: list[NodeMasterKeys]


class ReadAudit(Body, frozen=True):
    """READ_AUDIT: records after that sequence number."""

    after: U63 = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1000


class ReadAuditResult(Body, frozen=True):
    """Answer to READ_AUDIT."""

    records: list[bytes]


class Unseal(Body, frozen=True):
    """UNSEAL: one share of the master key, as its words; empty: forget those that were given.

    A node takes it over its local socket only; over a network it answers DENIED.
    """

    share: bytes
