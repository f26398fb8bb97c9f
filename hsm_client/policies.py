"""Key policies by readable names: what a key may do beyond its usage."""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from hsm_client.errors import make_error
from hsm_client.mechanisms import find_mechanism
from hsm_wire import limits
from hsm_wire import messages as m
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag

_MAX_USES: Final = (1 << 63) - 1
"""What the field holds."""


def policy(
    *,
    exportable: bool = False,
    caller_iv: bool = False,
    raw_rsa: bool = False,
    legacy_test: bool = False,
    strict: bool = False,
    pkcs1_decrypt: bool = False,
    cbc_padding: bool = False,
    mechanisms: Iterable[str | int] = (),
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    max_uses: int = 0,
    destruction_wait: timedelta = timedelta(0),
) -> m.Policy:
    """Return the policy for a new key; without arguments, the default.

    Args:
        exportable: the key may leave the cluster, wrapped by a key at least as strong.
        caller_iv: callers may choose the nonce or initialisation vector of an encryption.
        raw_rsa: RSA without padding.
        legacy_test: SHA-1 signatures, in clusters of package `sandbox` only.
        strict: a node that is cut off from its store refuses the key.
        pkcs1_decrypt: RSA decryption with PKCS#1 v1.5 padding.
        cbc_padding: AES-CBC decryption that checks padding, at a limited rate.
        mechanisms: by name or CKM number; none = all that fit the type and usage.
        not_before: with its time zone; None = no bound.
        not_after: with its time zone; None = no bound.
        max_uses: uses of the secret part over the key's life; 0 = no limit.
        destruction_wait: how long a destruction waits at least, the key disabled and the destruction revocable.

    Raises:
        BadRequest: a time, number or wait is out of range.
        UnknownMechanism: there is no mechanism of that name.
    """
    chosen = {
        PolicyFlag.EXPORTABLE: exportable,
        PolicyFlag.CALLER_IV: caller_iv,
        PolicyFlag.RAW_RSA: raw_rsa,
        PolicyFlag.LEGACY_TEST: legacy_test,
        PolicyFlag.STRICT: strict,
        PolicyFlag.PKCS1_DECRYPT: pkcs1_decrypt,
        PolicyFlag.CBC_PADDING: cbc_padding,
    }
    if not 0 <= max_uses <= _MAX_USES:
        raise make_error(Status.BAD_REQUEST, "max_uses is a number of uses, or 0 for no limit")
    return m.Policy(
        flags=sum(int(flag) for flag, wanted in chosen.items() if wanted),
        mechanisms=[find_mechanism(mechanism).number for mechanism in mechanisms],
        not_before=_unix_s("not_before", not_before),
        not_after=_unix_s("not_after", not_after),
        max_uses=max_uses,
        destruction_wait_s=_wait_s(destruction_wait),
    )


def _unix_s(name: str, moment: datetime | None) -> int:
    if moment is None:
        return 0
    if moment.tzinfo is None:
        raise make_error(Status.BAD_REQUEST, f"{name} has no time zone; add tzinfo=datetime.UTC if it is in UTC")
    seconds = int(moment.timestamp())
    if seconds <= 0:
        raise make_error(Status.BAD_REQUEST, f"{name} is not after 1970; leave it out where there is no bound")
    return seconds


def _wait_s(wait: timedelta) -> int:
    seconds = math.ceil(wait.total_seconds())
    if not 0 <= seconds <= limits.MAX_DESTRUCTION_WAIT_S:
        days = limits.MAX_DESTRUCTION_WAIT_S // 86_400
        raise make_error(Status.BAD_REQUEST, f"destruction_wait is from 0 to {days} days")
    return seconds
