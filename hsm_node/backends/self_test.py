"""What a back end offers is what it proved at start: each mechanism gives published or known answers, or round-trips.

The proofs use nothing but `Backend` itself, so that they hold for a device as well as for this process: a new key's
material is never seen, only what it computes. What fails, and what nobody has written a proof for, is not offered.
"""

from collections.abc import Mapping
from typing import Final

from hsm_node.backends.base import Backend, Outcome
from hsm_node.backends.known_answers import PROOFS
from hsm_node.backends.known_keys import KnownKeys
from hsm_node.backends.proofs import DisproofError, Proof
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.usages import Usage

_NONE: Final = Usage(0)


def prove(backend: Backend, claimed: Mapping[int, Usage], *, apart: bool = False) -> Outcome:
    """Try everything that the back end claims to do; `apart`: in a thread, beside its other work."""
    proved: dict[int, Usage] = {}
    failed: dict[int, Usage] = {}
    failures = []
    keys = KnownKeys(backend, apart=apart)
    for proof in PROOFS:
        usages = proof.usages & claimed.get(proof.mechanism, _NONE)
        if not usages:
            continue
        reason = _failure(proof, keys)
        counted = failed if reason else proved
        counted[proof.mechanism] = counted.get(proof.mechanism, _NONE) | usages
        if reason:
            failures.append(f"{MECHANISMS[proof.mechanism].name} with {proof.key_type}: {reason}")
    keys.clear()
    left = {number: usages & ~failed.get(number, _NONE) for number, usages in proved.items()}
    return Outcome({number: usages for number, usages in left.items() if usages}, tuple(failures))


def _failure(proof: Proof, keys: KnownKeys) -> str:
    """Return what is wrong, or nothing. The keys are known to everybody, so any text may be in the log."""
    try:
        proof.run(keys)
    except DisproofError as disproof:
        return str(disproof)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a library is none of Exception's, and no proof either
        return f"{type(error).__name__}: {error}"
    return ""
