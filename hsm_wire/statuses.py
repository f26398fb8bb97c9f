"""The one table of answers: number, class, safe to send again or not, what the caller should do.

The high byte of a status is its class. `docs/statuses.md` is made from this table.
"""

from enum import IntEnum

import msgspec


class StatusClass(IntEnum):
    """High byte of a status: who can mend it."""

    OK = 0
    REQUEST = 1
    ACCESS = 2
    KEY = 3
    DEVICE = 4
    OVERLOAD = 5
    TRANSPORT = 6


class Status(IntEnum):
    """Header bytes 22-23 of a RESPONSE."""

    OK = 0x0000
    OK_UNCONFIRMED = 0x0001
    OK_DR_PENDING = 0x0002

    BAD_REQUEST = 0x0101
    UNKNOWN_OPERATION = 0x0102
    TOO_LARGE = 0x0103
    DUPLICATE_ID = 0x0104
    UNKNOWN_MECHANISM = 0x0105
    UNSUPPORTED_VERSION = 0x0106

    DENIED = 0x0201
    OVER_QUOTA = 0x0202

    KEY_NOT_FOUND = 0x0301
    KEY_EXISTS = 0x0302
    KEY_DISABLED = 0x0303
    KEY_USAGE = 0x0304
    BAD_SIGNATURE = 0x0305
    BAD_DATA = 0x0306
    KEY_TYPE = 0x0307
    KEY_CHANGED = 0x0308

    DEVICE_ERROR = 0x0401
    MECHANISM_NOT_HERE = 0x0402
    RECORD_DAMAGED = 0x0403

    OVERLOADED = 0x0501
    POISON = 0x0502

    UNAVAILABLE = 0x0601
    TIMEOUT = 0x0602
    CANCELLED = 0x0603
    GOING_AWAY = 0x0604
    NOT_CURRENT = 0x0605
    STORE_UNAVAILABLE = 0x0606


class StatusRow(msgspec.Struct, frozen=True):
    """One row of the table.

    `resend` says whether a caller may usefully send the same request again; every operation is *safe* to send
    twice. `elsewhere` says whether the proxy tries another node by itself.
    """

    status: Status
    resend: bool
    elsewhere: bool
    meaning: str
    advice: str


def _row(status: Status, meaning: str, advice: str, *, resend: bool = False, elsewhere: bool = False) -> StatusRow:
    return StatusRow(status, resend, elsewhere, meaning, advice)


_S = Status
STATUS_TABLE: dict[Status, StatusRow] = {
    row.status: row
    for row in (
        _row(_S.OK, "Done.", "Nothing."),
        _row(
            _S.OK_UNCONFIRMED,
            "Done, but a cut-off node named in the answer may serve the old state until it is back.",
            "Treat as done; for a key that must stop at once, bring the named node back or take it out.",
        ),
        _row(
            _S.OK_DR_PENDING,
            "Done and durable in the active sites; the DR site does not have it yet.",
            "Treat as done; watch the DR lag.",
        ),
        _row(_S.BAD_REQUEST, "The frame, body or a parameter is malformed.", "Correct the request; see the text."),
        _row(_S.UNKNOWN_OPERATION, "No operation has this opcode.", "Correct the opcode, or upgrade the cluster."),
        _row(_S.TOO_LARGE, "The frame or its data is above the agreed maximum.", "Send less, or a digest of the data."),
        _row(_S.DUPLICATE_ID, "A request with this id is in flight already.", "Count request ids up."),
        _row(_S.UNKNOWN_MECHANISM, "The mechanism is unknown or not meant for this operation.", "Choose another one."),
        _row(_S.UNSUPPORTED_VERSION, "No common protocol version.", "Upgrade the older side."),
        _row(_S.DENIED, "The caller's identity has no right to this.", "Ask the operator for the role."),
        _row(
            _S.OVER_QUOTA, "The partition has used up its share.", "Send less, or order a larger package.", resend=True
        ),
        _row(_S.KEY_NOT_FOUND, "No such key in this partition.", "Check the id or label."),
        _row(_S.KEY_EXISTS, "The id belongs to a key that another request made.", "Choose a new id."),
        _row(_S.KEY_DISABLED, "The key is disabled, or outside its time of validity.", "Enable it, if that is meant."),
        _row(_S.KEY_USAGE, "The key's usage or policy does not allow this.", "Use a key made for it."),
        _row(_S.BAD_SIGNATURE, "The signature does not verify.", "Do not trust the data."),
        _row(_S.BAD_DATA, "The data cannot be processed: wrong length, or not what was encrypted.", "Check the data."),
        _row(_S.KEY_TYPE, "The key's type does not fit the mechanism.", "Choose a mechanism for this type of key."),
        _row(
            _S.KEY_CHANGED, "The key changed since the version that the request names.", "Read it again, then decide."
        ),
        _row(
            _S.DEVICE_ERROR,
            "The HSM failed.",
            "Send again; tell the operator if it stays.",
            resend=True,
            elsewhere=True,
        ),
        _row(_S.MECHANISM_NOT_HERE, "This node's HSM lacks the mechanism.", "Use what INFO lists.", elsewhere=True),
        _row(
            _S.RECORD_DAMAGED,
            "The store's record of this key or object is damaged, on every node that was asked.",
            "Tell the operator, who can restore it from a backup.",
            elsewhere=True,
        ),
        _row(_S.OVERLOADED, "The cluster is at its limit.", "Send again after a short, random wait.", resend=True),
        _row(_S.POISON, "This request was in flight at two losses of a node.", "Do not send it again; report it."),
        _row(_S.UNAVAILABLE, "No node can be reached.", "Send again until your deadline.", resend=True),
        _row(
            _S.TIMEOUT,
            "The request's time ran out.",
            "Send again with more time; the work may have been done.",
            resend=True,
        ),
        _row(_S.CANCELLED, "The caller cancelled the request.", "Nothing."),
        _row(
            _S.GOING_AWAY,
            "The peer is shutting down and took no new request.",
            "Send again on another connection.",
            resend=True,
            elsewhere=True,
        ),
        _row(
            _S.NOT_CURRENT,
            "This node cannot read the store and does not know the key.",
            "Send again.",
            resend=True,
            elsewhere=True,
        ),
        _row(
            _S.STORE_UNAVAILABLE,
            "No node can reach the store, so no key can be made or changed.",
            "Send again; tell the operator if it stays.",
            resend=True,
            elsewhere=True,
        ),
    )
}

_STATUS_BY_NUMBER = {int(status): status for status in Status}


def status_class(number: int) -> int:
    """Return the class of a status number, also of one this version does not know."""
    return number >> 8


def maybe_status(number: int) -> Status | None:
    """Return the status of that number, or None where this version does not know it."""
    return _STATUS_BY_NUMBER.get(number)


def status_name(number: int) -> str:
    """Return the status by name, or its number where this version does not know it."""
    known = _STATUS_BY_NUMBER.get(number)
    return f"{number:#06x}" if known is None else known.name
