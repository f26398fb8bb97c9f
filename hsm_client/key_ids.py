"""Key ids: UUID version 7 (RFC 9562, section 5.7), so that ids sort by the time they were made."""

import secrets
import time

from hsm_client.errors import make_error
from hsm_wire import limits
from hsm_wire.statuses import Status

_RANDOM_BITS = 74
_HEX_DIGITS = 2 * limits.MAX_KEY_ID_BYTES


def make_uuid7(unix_ms: int, random_bits: int) -> bytes:
    """Return the 16 bytes: 48 bits of milliseconds, version 7, 12 random bits, variant 10, 62 random bits."""
    high = (unix_ms & (1 << 48) - 1) << 16 | 0x7000 | (random_bits >> 62) & 0xFFF
    low = 0b10 << 62 | random_bits & (1 << 62) - 1
    return (high << 64 | low).to_bytes(16, "big")


def new_key_id() -> bytes:
    """Return a fresh key id."""
    return make_uuid7(time.time_ns() // 1_000_000, secrets.randbits(_RANDOM_BITS))


def new_operation_id() -> int:
    """Return a random number that names one call of the application over all re-sendings; never 0."""
    return secrets.randbits(64) or 1


def maybe_key_id(text: str) -> bytes | None:
    """Return the id that 32 hex digits name, None where the text is something else (a label)."""
    if len(text) != _HEX_DIGITS or not text.isascii() or not text.isalnum():
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def chosen_key_id(key_id: str | bytes | None) -> bytes:
    """Return the id that a caller gave, a fresh one for None; raises BadRequest where it is none."""
    if key_id is None:
        return new_key_id()
    found = maybe_key_id(key_id) if isinstance(key_id, str) else key_id
    if found is None or len(found) != limits.MAX_KEY_ID_BYTES:
        raise make_error(Status.BAD_REQUEST, "a key id has 16 bytes, 32 hex digits")
    return found
