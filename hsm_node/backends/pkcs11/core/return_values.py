"""What a device's return value (CKR_...) means: the one table. Who asks is told by status, and what is done by fault.

A value that is not here is a device's own (CKR_VENDOR_DEFINED) or of a later version: an error of the device.
"""

from enum import Enum
from typing import Final, NamedTuple

from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status


class Fault(Enum):
    """Whose fault it is, and so what is done about it."""

    NONE = "none"
    """It was done."""
    CALLER = "caller"
    """The data or the parameters of the request: it is answered, and the node is as good as before."""
    ABSENT = "absent"
    """This device cannot do it: another node may. It costs the node nothing."""
    BUSY = "busy"
    """The device has no room now: throttling. Another node is asked, and this one is not to blame."""
    SESSION = "session"
    """The session or what it held is gone: it is opened again, and the call is made once more."""
    TOKEN = "token"  # noqa: S105 - whose fault it is
    """The token is gone: the node is down until it is back."""
    PIN = "pin"
    """The PIN was refused, or must not be tried: the node is locked until an operator acts."""
    DEVICE = "device"
    """The device failed."""


class Meaning(NamedTuple):
    """What one return value means."""

    name: str
    fault: Fault
    status: Status
    detail: str
    """For the caller, so it speaks of nothing but what was asked."""


OK: Final = 0x00
GENERAL_ERROR: Final = 0x05
FUNCTION_FAILED: Final = 0x06
DEVICE_MEMORY: Final = 0x31
ENCRYPTED_DATA_INVALID: Final = 0x40
KEY_TYPE_INCONSISTENT: Final = 0x63
SESSION_COUNT: Final = 0xB1
USER_ALREADY_LOGGED_IN: Final = 0x100
BUFFER_TOO_SMALL: Final = 0x150
AMBIGUOUS: Final = frozenset({GENERAL_ERROR, FUNCTION_FAILED})
"""What C_Decrypt may return for a wrong tag (SoftHSM2 does) as well as for a device that fails: the device is asked to
decrypt what it has just encrypted, and that tells them apart."""

_BAD_DATA: Final = (Fault.CALLER, Status.BAD_DATA, "the data does not fit this key and these parameters")
_BAD_PARAMETERS: Final = (Fault.CALLER, Status.BAD_REQUEST, "the parameters do not fit this mechanism and key")
_BAD_SIGNATURE: Final = (Fault.CALLER, Status.BAD_SIGNATURE, "the signature does not verify")
_USAGE: Final = (Fault.CALLER, Status.KEY_USAGE, "the key is not for this use")
_ABSENT: Final = (Fault.ABSENT, Status.MECHANISM_NOT_HERE, "this node's device lacks this mechanism for this key")
_BUSY: Final = (Fault.BUSY, Status.OVERLOADED, "the device has no room for this now; send the request again")
_SESSION: Final = (Fault.SESSION, Status.DEVICE_ERROR, "the device forgot its session; send the request again")
_TOKEN: Final = (Fault.TOKEN, Status.DEVICE_ERROR, "the device is gone; send the request again")
_PIN: Final = (Fault.PIN, Status.DEVICE_ERROR, "the device is locked; tell the operator")
_DEVICE: Final = (Fault.DEVICE, Status.DEVICE_ERROR, "the device failed to do this; send the request again")
_DONE: Final = (Fault.NONE, Status.OK, "")

_ROWS: Final[dict[int, tuple[str, tuple[Fault, Status, str]]]] = {
    0x000: ("CKR_OK", _DONE),
    0x002: ("CKR_HOST_MEMORY", _BUSY),
    0x003: ("CKR_SLOT_ID_INVALID", _TOKEN),
    0x005: ("CKR_GENERAL_ERROR", _DEVICE),
    0x006: ("CKR_FUNCTION_FAILED", _DEVICE),
    0x007: ("CKR_ARGUMENTS_BAD", _DEVICE),
    0x00A: ("CKR_CANT_LOCK", _DEVICE),
    0x01B: ("CKR_ACTION_PROHIBITED", _ABSENT),
    0x010: ("CKR_ATTRIBUTE_READ_ONLY", _ABSENT),
    0x011: ("CKR_ATTRIBUTE_SENSITIVE", _ABSENT),
    0x012: ("CKR_ATTRIBUTE_TYPE_INVALID", _ABSENT),
    0x013: ("CKR_ATTRIBUTE_VALUE_INVALID", _ABSENT),
    0x020: ("CKR_DATA_INVALID", _BAD_DATA),
    0x021: ("CKR_DATA_LEN_RANGE", _BAD_DATA),
    0x030: ("CKR_DEVICE_ERROR", _DEVICE),
    0x031: ("CKR_DEVICE_MEMORY", _BUSY),
    0x032: ("CKR_DEVICE_REMOVED", _TOKEN),
    0x040: ("CKR_ENCRYPTED_DATA_INVALID", _BAD_DATA),
    0x041: ("CKR_ENCRYPTED_DATA_LEN_RANGE", _BAD_DATA),
    0x050: ("CKR_FUNCTION_CANCELED", _DEVICE),
    0x054: ("CKR_FUNCTION_NOT_SUPPORTED", _ABSENT),
    0x060: ("CKR_KEY_HANDLE_INVALID", _SESSION),
    0x062: ("CKR_KEY_SIZE_RANGE", _ABSENT),
    0x063: ("CKR_KEY_TYPE_INCONSISTENT", _ABSENT),
    0x068: ("CKR_KEY_FUNCTION_NOT_PERMITTED", _USAGE),
    0x069: ("CKR_KEY_NOT_WRAPPABLE", _ABSENT),
    0x06A: ("CKR_KEY_UNEXTRACTABLE", _ABSENT),
    0x070: ("CKR_MECHANISM_INVALID", _ABSENT),
    0x071: ("CKR_MECHANISM_PARAM_INVALID", _BAD_PARAMETERS),
    0x082: ("CKR_OBJECT_HANDLE_INVALID", _SESSION),
    0x090: ("CKR_OPERATION_ACTIVE", _SESSION),
    0x091: ("CKR_OPERATION_NOT_INITIALIZED", _SESSION),
    0x0A0: ("CKR_PIN_INCORRECT", _PIN),
    0x0A1: ("CKR_PIN_INVALID", _PIN),
    0x0A2: ("CKR_PIN_LEN_RANGE", _PIN),
    0x0A3: ("CKR_PIN_EXPIRED", _PIN),
    0x0A4: ("CKR_PIN_LOCKED", _PIN),
    0x0B0: ("CKR_SESSION_CLOSED", _SESSION),
    0x0B1: ("CKR_SESSION_COUNT", _BUSY),
    0x0B3: ("CKR_SESSION_HANDLE_INVALID", _SESSION),
    0x0C0: ("CKR_SIGNATURE_INVALID", _BAD_SIGNATURE),
    0x0C1: ("CKR_SIGNATURE_LEN_RANGE", _BAD_SIGNATURE),
    0x0D0: ("CKR_TEMPLATE_INCOMPLETE", _ABSENT),
    0x0D1: ("CKR_TEMPLATE_INCONSISTENT", _ABSENT),
    0x0E0: ("CKR_TOKEN_NOT_PRESENT", _TOKEN),
    0x0E1: ("CKR_TOKEN_NOT_RECOGNIZED", _TOKEN),
    0x0F0: ("CKR_UNWRAPPING_KEY_HANDLE_INVALID", _SESSION),
    0x0F1: ("CKR_UNWRAPPING_KEY_SIZE_RANGE", _ABSENT),
    0x0F2: ("CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT", _ABSENT),
    0x100: ("CKR_USER_ALREADY_LOGGED_IN", _DONE),
    0x101: ("CKR_USER_NOT_LOGGED_IN", _SESSION),
    0x102: ("CKR_USER_PIN_NOT_INITIALIZED", _PIN),
    0x103: ("CKR_USER_TYPE_INVALID", _PIN),
    0x110: ("CKR_WRAPPED_KEY_INVALID", _BAD_DATA),
    0x112: ("CKR_WRAPPED_KEY_LEN_RANGE", _BAD_DATA),
    0x113: ("CKR_WRAPPING_KEY_HANDLE_INVALID", _SESSION),
    0x114: ("CKR_WRAPPING_KEY_SIZE_RANGE", _ABSENT),
    0x115: ("CKR_WRAPPING_KEY_TYPE_INCONSISTENT", _ABSENT),
    0x130: ("CKR_DOMAIN_PARAMS_INVALID", _ABSENT),
    0x140: ("CKR_CURVE_NOT_SUPPORTED", _ABSENT),
    0x150: ("CKR_BUFFER_TOO_SMALL", _DEVICE),
    0x190: ("CKR_CRYPTOKI_NOT_INITIALIZED", _SESSION),
    0x1B8: ("CKR_PIN_TOO_WEAK", _PIN),
    0x1B9: ("CKR_PUBLIC_KEY_INVALID", _BAD_DATA),
}
_MEANINGS: Final = {number: Meaning(name, *rest) for number, (name, rest) in _ROWS.items()}

_NOT_EXECUTED: Final = frozenset({Fault.ABSENT, Fault.BUSY, Fault.TOKEN, Fault.PIN})
"""Faults that a device finds before it has done anything."""


def meaning(number: int) -> Meaning:
    """Return what a return value means."""
    known = _MEANINGS.get(number)
    return Meaning(f"CKR {number:#x}", *_DEVICE) if known is None else known


def refusal(number: int) -> Refusal:
    """Return the answer of a request whose call returned that."""
    row = meaning(number)
    return Refusal(row.status, row.detail, not_executed=row.fault in _NOT_EXECUTED)
