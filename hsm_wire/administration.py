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


class Report(Body, frozen=True):
    """Answer of DR_DRILL, DR_RECONCILE, DR_DEMOTE, VERIFY_BACKUP, ROTATE_MASTER_KEY and UNSEAL: lines to read."""

    ok: bool
    lines: list[Name]


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
    """UNSEAL: one share of the master key."""

    share: bytes
