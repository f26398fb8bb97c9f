"""Operations by number (header bytes 20-21). What each one carries is in `operations`."""

from enum import IntEnum


class Opcode(IntEnum):
    """What a request asks for."""

    INFO = 0x0001
    RANDOM = 0x0002
    STATUS = 0x0003
    """Answered by the proxy itself: the cluster as it sees it."""
    CHECK = 0x0004
    """A proxy's deep check of a node: a signature through the node's own queue. No client may ask it."""
    EVENTS = 0x0005
    """Answered by the proxy itself: what happened lately, in words."""
    USAGE = 0x0006
    """A proxy and a node tell each other what partitions have used. No client may ask it."""

    GENERATE_KEY = 0x0101
    IMPORT_KEY = 0x0102
    DESCRIBE_KEY = 0x0103
    FIND_KEYS = 0x0104
    UPDATE_KEY = 0x0105
    DESTROY_KEY = 0x0106
    WRAP_KEY = 0x0107
    UNWRAP_KEY = 0x0108
    ROTATE_KEY = 0x0109
    ADOPT_KEY = 0x010A

    SIGN = 0x0201
    VERIFY = 0x0202
    ENCRYPT = 0x0203
    DECRYPT = 0x0204
    DERIVE = 0x0205
    ENCAPSULATE = 0x0206
    DECAPSULATE = 0x0207

    CREATE_OBJECT = 0x0301
    READ_OBJECT = 0x0302
    FIND_OBJECTS = 0x0303
    UPDATE_OBJECT = 0x0304
    DESTROY_OBJECT = 0x0305

    CLUSTER_STATE = 0x0401
    SET_NODE_STATE = 0x0402
    DR_STATUS = 0x0403
    DR_DRILL = 0x0404
    DR_PROMOTE = 0x0405
    DR_RECONCILE = 0x0406
    DR_DEMOTE = 0x0407
    READ_AUDIT = 0x0408
    CREATE_BACKUP = 0x0409
    RESTORE_BACKUP = 0x040A
    VERIFY_BACKUP = 0x040B
    ROTATE_MASTER_KEY = 0x040C
    UNSEAL = 0x040D
    MASTER_KEY_STATUS = 0x040E
    REMOVE_NODE = 0x040F
    DR_VOUCH = 0x0410


_NAMES = {int(opcode): opcode.name.lower() for opcode in Opcode}


def operation_name(number: int) -> str:
    """Return an operation's name as logs and metrics have it; "unknown" where this version does not know it."""
    return _NAMES.get(number, "unknown")
