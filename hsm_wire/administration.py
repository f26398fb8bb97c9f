"""Bodies of the administration range (0x04xx), for principals with role `operate`.

The numbers and forms are settled; a node that does not offer them answers UNKNOWN_OPERATION.
"""

from typing import Annotated

import msgspec

from hsm_wire.forms import U32, U63, Body, Name


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


class DrStatus(Body, frozen=True):
    """Answer to DR_STATUS."""

    epoch: U63
    promoted: bool
    lag_revisions: U63
    text: Name = ""


class DrPromote(Body, frozen=True):
    """DR_PROMOTE: `cluster` is the cluster's name, typed by the operator."""

    cluster: Name
    force: bool = False
    """The operator says that the productive sites are off: their nodes are not looked for, nor waited for."""
    look: bool = False
    """Only say whether it would be done."""


class DrPromotion(Body, frozen=True):
    """Answer to DR_PROMOTE."""

    epoch: U63
    """Counts promotions."""
    promoted: bool
    """The DR site serves; not yet where it was only looked."""


class Report(Body, frozen=True):
    """Answer of DR_DRILL, DR_RECONCILE, DR_DEMOTE, VERIFY_BACKUP, ROTATE_MASTER_KEY and UNSEAL: lines to read."""

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


class CreateBackup(Body, frozen=True):
    """CREATE_BACKUP: one page of the wrapped keystore."""

    after: bytes = b""
    limit: U32 = 256


class BackupPage(Body, frozen=True):
    """Wrapped records; also the body of RESTORE_BACKUP and VERIFY_BACKUP."""

    records: list[bytes]
    last: bytes = b""


class Unseal(Body, frozen=True):
    """UNSEAL: one share of the master key, as its words; empty: forget those that were given.

    A node takes it over its local socket only; over a network it answers DENIED.
    """

    share: bytes
