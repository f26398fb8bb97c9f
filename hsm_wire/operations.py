"""Opcode -> its two bodies, the role it needs, what it costs. One row an operation."""

from enum import StrEnum

import msgspec

from hsm_wire import administration as a
from hsm_wire import backup_messages as b
from hsm_wire import limits
from hsm_wire import messages as m
from hsm_wire import objects as o
from hsm_wire.opcodes import Opcode


class Role(StrEnum):
    """What an identity may do: the first three in its partition, OPERATE in the cluster.

    CHECK is what a proxy itself has at a node, and nobody else: it cannot be granted.
    """

    USE = "use"
    MANAGE = "manage"
    AUDIT = "audit"
    OPERATE = "operate"
    CHECK = "check"


class Work(StrEnum):
    """What kind of work an operation is: time-outs and pools go by it."""

    READ = "read"
    USE = "use"
    CHANGE = "change"
    GENERATE = "generate"
    ADMINISTER = "administer"


class Operation(msgspec.Struct, frozen=True):
    """One row. `roles`: any of these is enough."""

    opcode: Opcode
    request: type[msgspec.Struct]
    result: type[msgspec.Struct]
    roles: tuple[Role, ...]
    work: Work
    default_timeout_ms: int = limits.DEFAULT_TIMEOUT_MS


_ANYONE = (Role.USE, Role.MANAGE, Role.AUDIT, Role.OPERATE)
_KEYS = (Role.USE, Role.MANAGE)
_MANAGE = (Role.MANAGE,)
_USE = (Role.USE,)
_OPERATE = (Role.OPERATE,)
_CHECK = (Role.CHECK,)
_C = Opcode

OPERATIONS: dict[int, Operation] = {
    int(row.opcode): row
    for row in (
        Operation(_C.INFO, m.Empty, m.InfoResult, _ANYONE, Work.READ),
        Operation(_C.STATUS, m.Empty, m.StatusResult, _ANYONE, Work.READ),
        Operation(_C.EVENTS, m.Events, m.EventsResult, _ANYONE, Work.READ),
        Operation(_C.CHECK, m.Check, m.CheckResult, _CHECK, Work.USE),
        Operation(_C.USAGE, m.UsageReport, m.UsageNews, _CHECK, Work.READ),
        Operation(_C.RANDOM, m.Random, m.RandomResult, _KEYS, Work.USE),
        Operation(_C.GENERATE_KEY, m.GenerateKey, m.KeyInfo, _MANAGE, Work.GENERATE, limits.KEY_GENERATION_TIMEOUT_MS),
        Operation(_C.IMPORT_KEY, m.ImportKey, m.KeyInfo, _MANAGE, Work.CHANGE),
        Operation(_C.DESCRIBE_KEY, m.DescribeKey, m.KeyInfo, _KEYS, Work.READ),
        Operation(_C.FIND_KEYS, m.FindKeys, m.FindKeysResult, _KEYS, Work.READ),
        Operation(_C.UPDATE_KEY, m.UpdateKey, m.KeyInfo, _MANAGE, Work.CHANGE),
        Operation(_C.DESTROY_KEY, m.DestroyKey, m.Empty, _MANAGE, Work.CHANGE),
        Operation(_C.WRAP_KEY, m.WrapKey, m.WrapKeyResult, _MANAGE, Work.USE),
        Operation(_C.UNWRAP_KEY, m.UnwrapKey, m.KeyInfo, _MANAGE, Work.CHANGE),
        Operation(_C.ROTATE_KEY, m.RotateKey, m.KeyInfo, _MANAGE, Work.CHANGE),
        Operation(_C.ADOPT_KEY, m.AdoptKey, m.KeyInfo, _MANAGE, Work.CHANGE),
        Operation(_C.SIGN, m.Sign, m.SignResult, _USE, Work.USE),
        Operation(_C.VERIFY, m.Verify, m.Empty, _USE, Work.USE),
        Operation(_C.ENCRYPT, m.Encrypt, m.EncryptResult, _USE, Work.USE),
        Operation(_C.DECRYPT, m.Decrypt, m.DecryptResult, _USE, Work.USE),
        Operation(_C.DERIVE, m.Derive, m.KeyInfo, _USE, Work.CHANGE),
        Operation(_C.ENCAPSULATE, m.Encapsulate, m.EncapsulateResult, _USE, Work.CHANGE),
        Operation(_C.DECAPSULATE, m.Decapsulate, m.KeyInfo, _USE, Work.CHANGE),
        Operation(_C.CREATE_OBJECT, o.CreateObject, o.ObjectInfo, _MANAGE, Work.CHANGE),
        Operation(_C.READ_OBJECT, o.ReadObject, o.ReadObjectResult, _KEYS, Work.READ),
        Operation(_C.FIND_OBJECTS, o.FindObjects, o.FindObjectsResult, _KEYS, Work.READ),
        Operation(_C.UPDATE_OBJECT, o.UpdateObject, o.ObjectInfo, _MANAGE, Work.CHANGE),
        Operation(_C.DESTROY_OBJECT, o.DestroyObject, m.Empty, _MANAGE, Work.CHANGE),
        Operation(_C.CLUSTER_STATE, m.Empty, a.ClusterState, _OPERATE, Work.ADMINISTER),
        Operation(_C.SET_NODE_STATE, a.SetNodeState, a.ClusterState, _OPERATE, Work.ADMINISTER),
        Operation(_C.DR_STATUS, m.Empty, a.DrStatus, _OPERATE, Work.ADMINISTER),
        Operation(_C.DR_DRILL, m.Empty, a.DrillReport, _OPERATE, Work.ADMINISTER, limits.DRILL_TIMEOUT_MS),
        Operation(_C.DR_PROMOTE, a.DrPromote, a.DrPromotion, _OPERATE, Work.ADMINISTER),
        Operation(
            _C.DR_RECONCILE, b.RestoreBackup, b.BackupReading, _OPERATE, Work.ADMINISTER, limits.BACKUP_TIMEOUT_MS
        ),
        Operation(_C.DR_DEMOTE, a.DrDemote, a.DrReturn, _OPERATE, Work.ADMINISTER, limits.BACKUP_TIMEOUT_MS),
        Operation(_C.READ_AUDIT, a.ReadAudit, a.ReadAuditResult, (Role.AUDIT,), Work.ADMINISTER),
        Operation(_C.CREATE_BACKUP, b.CreateBackup, b.CreatedPart, _OPERATE, Work.ADMINISTER, limits.BACKUP_TIMEOUT_MS),
        Operation(
            _C.RESTORE_BACKUP, b.RestoreBackup, b.BackupReading, _OPERATE, Work.ADMINISTER, limits.BACKUP_TIMEOUT_MS
        ),
        Operation(
            _C.VERIFY_BACKUP, b.VerifyBackup, b.BackupReading, _OPERATE, Work.ADMINISTER, limits.BACKUP_TIMEOUT_MS
        ),
        Operation(_C.ROTATE_MASTER_KEY, m.Empty, a.Report, _OPERATE, Work.ADMINISTER),
        Operation(_C.UNSEAL, a.Unseal, a.Report, _OPERATE, Work.ADMINISTER),
        Operation(_C.MASTER_KEY_STATUS, m.Empty, a.MasterKeyStatus, _OPERATE, Work.ADMINISTER),
        Operation(_C.DR_VOUCH, a.DrVouch, a.DrPromotion, _OPERATE, Work.ADMINISTER),
        Operation(_C.REMOVE_NODE, a.RemoveNode, a.RemovedNode, _OPERATE, Work.ADMINISTER),
    )
}

ANSWERED_BY_PROXY: frozenset[int] = frozenset({int(_C.STATUS), int(_C.EVENTS)})
"""Operations about the cluster as the proxy sees it: no node is asked."""
LONG: frozenset[int] = frozenset(
    {number for number, row in OPERATIONS.items() if row.work is Work.GENERATE} | {int(_C.DR_DRILL)}
)
"""Operations that take seconds by nature, in a pool of their own on a node: how long says nothing of its health."""
OF_PROXIES: frozenset[int] = frozenset(number for number, row in OPERATIONS.items() if row.roles == _CHECK)
"""Operations that proxies ask for themselves: no client has sent them."""
AT_DR_SITE: frozenset[int] = frozenset({int(_C.DR_STATUS), int(_C.DR_DRILL)})
"""Operations for a node of the DR site, which is not in rotation: proxies give them to one that they reach."""
SIGNATURES: frozenset[int] = frozenset({int(_C.SIGN)})
"""Operations that count for a partition's quota of signatures."""
GENERATIONS: frozenset[int] = frozenset({int(_C.GENERATE_KEY), int(_C.ROTATE_KEY)})
"""Operations that count for its quota of key generations: they make a new key out of chance."""
