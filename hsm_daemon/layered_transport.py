"""A transport over another one: what it does not change itself is passed on to the loop's own, the raw one."""

import asyncio


class LayeredTransport(asyncio.Transport):
    """Passes on how much may wait to be sent, and what is known of the connection."""

    __slots__ = ("_raw",)

    def __init__(self) -> None:
        # Without the base's, which makes a dict: everything is asked of the raw transport.
        self._raw: asyncio.Transport | None = None
        """None before the connection is made, and after it was lost."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how many bytes, as they are sent, may wait until the protocol is asked to pause."""
        if self._raw is not None:
            self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes, as they are sent, wait for the peer."""
        return 0 if self._raw is None else self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the limits in use: low, high."""
        return (0, 0) if self._raw is None else self._raw.get_write_buffer_limits()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what is known of the connection."""
        return default if self._raw is None else self._raw.get_extra_info(name, default)

    def can_write_eof(self) -> bool:
        """Return False: there is no half-close over this one."""
        return False
