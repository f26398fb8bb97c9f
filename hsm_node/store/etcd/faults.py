"""What an error of etcd, or of the way to it, means for a call: gRPC's code and text -> a fault.

Theory. A change may have been made although its answer was lost: that is "in doubt", and to send it again is safe, for
a create finds itself and a change compares a revision (design.md, section 6, rule 1). What a member says before it
looks at a request, and a connection that never came about, are certain: nothing was done.
"""

import enum
from typing import Final, NamedTuple

from hsm_node.store.base import ReplacedStoreError


class Meaning(enum.Enum):
    """Of a fault."""

    NOT_DONE = "not done"
    """Certainly; another member may do it."""
    IN_DOUBT = "in doubt"
    """Perhaps done; safe to send again, to any member."""
    COMPACTED = "compacted"
    """That revision is no more: list everything."""
    FINAL = "final"
    """Every member would say so: an operator must act."""
    HALTED = "halted"
    """As `FINAL`, and every change would be refused, while reads go on: there is no room, or members' data differ."""


class Fault(NamedTuple):
    """What went wrong."""

    meaning: Meaning
    text: str
    """For the log: what is wrong and, where somebody must act, what to do."""


_NOT_BEGUN: Final = ("no leader", "failed to connect", "connection refused", "not started", "handshake")
"""In the texts of UNAVAILABLE: the member has no quorum, or there is no connection to it."""
_NO_TLS: Final = ("handshake failed", "certificate_verify_failed")
"""In the texts of UNAVAILABLE: one end does not take the other one's certificate."""
_FULL: Final = "database space exceeded"
_CORRUPT: Final = "corrupt"
_ADVICE: Final = {
    _FULL: "the store's quota is full: compact it, defragment each member, `etcdctl alarm disarm`",
    "request is too large": "the record is larger than the store takes (1.5 MB): nothing was stored",
    "larger than max": "the record is larger than the store takes (1.5 MB): nothing was stored",
    _CORRUPT: "the members' data differ, and the store takes no changes: replace the one that `etcdctl endpoint hashkv "
    "--cluster` shows alone with its hash, then `etcdctl alarm disarm`",
    "permission denied": "the store denies it to this node's certificate: correct its users, or [store] tls",
}
MAX_TEXT: Final = 300
"""Characters of a member's text in a log."""


def fault_of(code: str, details: str) -> Fault:
    """Return what an error of gRPC means.

    Args:
        code: its name, as "UNAVAILABLE".
        details: its text.
    """
    text, lowered = details[:MAX_TEXT], details.lower()
    if code == "OUT_OF_RANGE" and "compacted" in lowered:
        return Fault(Meaning.COMPACTED, text)
    for said, advice in _ADVICE.items():
        if said in lowered:
            return Fault(Meaning.HALTED if said in (_FULL, _CORRUPT) else Meaning.FINAL, f"{advice} ({text})")
    if code in ("INVALID_ARGUMENT", "UNIMPLEMENTED", "OUT_OF_RANGE", "PERMISSION_DENIED", "UNAUTHENTICATED"):
        return Fault(Meaning.FINAL, f"the store refuses it ({code}: {text})")
    if code == "UNAVAILABLE" and any(said in lowered for said in _NO_TLS):
        what = "its certificate, or this node's, is not accepted: renew the one that expired, or correct [store] tls"
        return Fault(Meaning.NOT_DONE, f"{what} ({text})")
    if code == "UNAVAILABLE" and any(said in lowered for said in _NOT_BEGUN):
        return Fault(Meaning.NOT_DONE, text)
    if code == "DEADLINE_EXCEEDED":
        return Fault(Meaning.IN_DOUBT, "no answer in time")
    return Fault(Meaning.IN_DOUBT, f"{code}: {text}")


def older_state(revision: int, seen: int) -> ReplacedStoreError:
    """Return what is wrong with a store that has not come as far as it had."""
    return ReplacedStoreError(
        f"its revision is {revision}, this node has seen {seen}: an older state stands in its place; bring the newer "
        "one back, or start the node again to use this one"
    )
