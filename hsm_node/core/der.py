"""As much of DER as is needed to find where a private key ends."""

from typing import Final

MAX_PADDING_BYTES: Final = 7
"""A device that pads material before it wraps it pads to whole units of eight bytes (SoftHSM 2.6.1 does)."""
_LONG_FORM: Final = 0x80


def trimmed(material: bytes) -> bytes:
    """Return the first DER element, without the zeros behind it.

    Raises:
        ValueError: it is no whole element, or something else is behind it.
    """
    if len(material) < 2:
        raise ValueError("too short for DER")
    length, head = material[1], 2
    if length & _LONG_FORM:
        digits = length & ~_LONG_FORM
        length, head = int.from_bytes(material[2 : 2 + digits], "big"), 2 + digits
    end = head + length
    padding = material[end:]
    if end > len(material) or len(padding) > MAX_PADDING_BYTES or any(padding):
        raise ValueError("not one DER element and zeros")
    return material[:end]
