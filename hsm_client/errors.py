"""Typed errors, by who can mend them. One class a status, made from hsm_wire's table.

HsmError                  status, detail, operation_id
 +- CallerError           the request or the caller's rights (classes request and access)
 +- KeyOrDataError        the key or the data (class key): KeyNotFound, BadSignature, KeyDisabled...
 +- ClusterError          the cluster (classes device, overload, transport): Overloaded, Unavailable, Timeout...
     +- ClusterUnreachable  no proxy could be reached at all
     +- ConfigurationError  client.toml or a file that it names is wrong: nothing was sent
"""

from hsm_wire.statuses import STATUS_TABLE, Status, StatusClass, maybe_status, status_class


class HsmError(Exception):
    """An operation failed. `status` is the wire's number; `detail` says what is wrong and what to do."""

    def __init__(self, detail: str, *, status: int = 0, operation_id: int = 0) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.operation_id = operation_id
        self.retry_after_s = 0.0
        """How long the cluster asks to wait before the same is sent again; 0: it does not say."""
        self.not_executed = False
        """Nothing was done, for certain. Only a node that is asked on its own host says so: through a proxy, another
        node does what one has not done."""

    @property
    def status_name(self) -> str:
        """The status by name, or its number where this version does not know it."""
        known = maybe_status(self.status)
        return known.name if known is not None else f"{self.status:#06x}"


class CallerError(HsmError):
    """The request is wrong, or the caller has no right to it."""


class KeyOrDataError(HsmError):
    """The key or the data does not allow it."""


class ClusterError(HsmError):
    """The cluster failed, is full, or cannot be reached."""


class ClusterUnreachable(ClusterError):  # noqa: N818 - the contract's name
    """No proxy could be reached at all."""

    def __init__(self, detail: str, *, status: int = Status.UNAVAILABLE, operation_id: int = 0) -> None:
        super().__init__(detail, status=status, operation_id=operation_id)


class ConfigurationError(ClusterError):
    """A configuration or certificate file is missing or wrong."""

    def __init__(self, detail: str, *, status: int = 0, operation_id: int = 0) -> None:
        # Names and keys of the file are in it: what would break the line or steer a terminal is shown escaped.
        line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in detail)
        super().__init__(line, status=status, operation_id=operation_id)


_BASES: dict[int, type[HsmError]] = {
    StatusClass.REQUEST: CallerError,
    StatusClass.ACCESS: CallerError,
    StatusClass.KEY: KeyOrDataError,
    StatusClass.DEVICE: ClusterError,
    StatusClass.OVERLOAD: ClusterError,
    StatusClass.TRANSPORT: ClusterError,
}


def _error_classes() -> dict[int, type[HsmError]]:
    made: dict[int, type[HsmError]] = {}
    for row in STATUS_TABLE.values():
        base = _BASES.get(status_class(row.status))
        if base is None:
            continue
        name = "".join(word.capitalize() for word in row.status.name.split("_"))
        made[int(row.status)] = type(name, (base,), {"__doc__": f"{row.meaning} {row.advice}", "__module__": __name__})
    return made


ERROR_BY_STATUS = _error_classes()
"""Status number -> its class."""

KeyNotFound = ERROR_BY_STATUS[Status.KEY_NOT_FOUND]
KeyExists = ERROR_BY_STATUS[Status.KEY_EXISTS]
KeyDisabled = ERROR_BY_STATUS[Status.KEY_DISABLED]
KeyUsage = ERROR_BY_STATUS[Status.KEY_USAGE]
KeyChanged = ERROR_BY_STATUS[Status.KEY_CHANGED]
KeyType = ERROR_BY_STATUS[Status.KEY_TYPE]
BadSignature = ERROR_BY_STATUS[Status.BAD_SIGNATURE]
BadData = ERROR_BY_STATUS[Status.BAD_DATA]
BadRequest = ERROR_BY_STATUS[Status.BAD_REQUEST]
TooLarge = ERROR_BY_STATUS[Status.TOO_LARGE]
UnknownMechanism = ERROR_BY_STATUS[Status.UNKNOWN_MECHANISM]
Denied = ERROR_BY_STATUS[Status.DENIED]
OverQuota = ERROR_BY_STATUS[Status.OVER_QUOTA]
DeviceError = ERROR_BY_STATUS[Status.DEVICE_ERROR]
RecordDamaged = ERROR_BY_STATUS[Status.RECORD_DAMAGED]
Overloaded = ERROR_BY_STATUS[Status.OVERLOADED]
Poison = ERROR_BY_STATUS[Status.POISON]
Unavailable = ERROR_BY_STATUS[Status.UNAVAILABLE]
Timeout = ERROR_BY_STATUS[Status.TIMEOUT]
Cancelled = ERROR_BY_STATUS[Status.CANCELLED]
GoingAway = ERROR_BY_STATUS[Status.GOING_AWAY]


def make_error(status: int, detail: str, operation_id: int = 0) -> HsmError:
    """Return the error for that status; one of a newer cluster falls back to its class."""
    form = ERROR_BY_STATUS.get(status) or _BASES.get(status_class(status), ClusterError)
    row = STATUS_TABLE.get(known) if (known := maybe_status(status)) is not None else None
    text = detail or (f"{row.meaning} {row.advice}" if row is not None else f"the cluster answered {status:#06x}")
    return form(text, status=status, operation_id=operation_id)
