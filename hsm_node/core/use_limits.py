"""How often a key may work, and how its record counts it. Pure: the records are written by `service/use_counter.py` and
`service/encryption_leases.py`.

Theory. Two limits, counted in two ways, because of what they are for.

A policy's `max_uses` is a promise to the key's owner: never one use more. So each use is a writing of the record,
before the key works, and of two writings of the same state the store lets one happen. What happens in between (a node
dies, an answer is lost) can only make the count higher than what was done. A use that is sent again is known by its
mark, which is of the operation id *and* the body: with one id for two messages, a caller would have two signatures for
one use. The last KEPT_USES marks are kept; a use whose mark is gone counts again. A key whose limit was set after it
was made counts from then on; a key that was rotated hands its limit on, and the new one counts anew.

What counts is the secret part at work: every operation of a secret key but VERIFY; of a pair, SIGN, DECRYPT, UNWRAP,
DERIVE and DECAPSULATE. VERIFY and ENCAPSULATE never count, and ENCRYPT and WRAP with an RSA key take its public half,
which anybody has. That a key is wrapped itself counts too: it leaves, and elsewhere nobody counts.

AES-GCM with random nonces of 96 bits is safe for 2^32 encryptions (SP 800-38D, section 8.3: with a probability of
2^-32 a nonce comes twice, which gives the authentication key away). That many writings no store would take, and
exactness is not needed, only never more. So nodes take blocks of encryptions from the store and count them down in
memory; what is left of a block when a node ends is lost. Encryptions with the caller's own nonce count as well: the
bound is on all of them together. A new id begins anew, also for the same material (imported twice, say): whoever has
the material can encrypt anywhere.

CBC and CTR are not counted. The node makes 128 random bits there, and what their safety ends with is the amount of
data, not the number of messages: the probability stays below 2^-32 up to 2^48 blocks (4 PiB) of one key, that in CBC
two ciphertext blocks are equal, or in CTR two ranges of counters meet. With 100 MB a second, day and night, that takes
more than a year.
"""

from collections.abc import Sequence
from typing import Final

from hsm_node.core.records import Record, rewritten_record
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

KEPT_USES: Final = 8
"""Uses that a record remembers: a re-sent use finds itself among the last 8. One writing counts no more than these."""
GCM_ENCRYPTIONS: Final = 1 << 32
"""With one key, by all nodes together."""
GCM_BLOCK: Final = 1 << 16
"""Encryptions that a node takes at once: seconds of the busiest node's work. With 4,096 restarts of nodes less than a
tenth of all are lost, what was taken ahead included."""
GCM_AHEAD: Final = 1 << 14
"""A node takes its next block when it has only this many left: half a second of its work, where a writing takes
milliseconds, so a key at work never waits."""
_NEVER_COUNTED: Final = int(Usage.VERIFY | Usage.ENCAPSULATE)
_PUBLIC_HALF: Final = int(Usage.ENCRYPT | Usage.WRAP)


def is_counted(record: Record, usage: int) -> bool:
    """Whether such a use counts towards the key's max_uses."""
    if not record.policy.max_uses or usage & _NEVER_COUNTED:
        return False
    return not usage & _PUBLIC_HALF or KEY_TYPES[record.key_type].symmetric


def counted_uses(record: Record, marks: Sequence[bytes]) -> tuple[Record, list[bool]]:
    """Return the record after some uses, and of each whether it may be made.

    What was counted before is not counted again. Where nothing is to be counted the record is the same object.
    """
    uses, most, known = record.uses, record.policy.max_uses, list(record.use_marks)
    allowed = []
    for mark in marks:
        new = mark not in known
        if new and (not most or uses < most):
            known.append(mark)
            uses += 1
        allowed.append(mark in known)
    if uses == record.uses:
        return record, allowed
    return rewritten_record(record, uses=uses, use_marks=tuple(known[-KEPT_USES:])), allowed


def used_up(record: Record) -> Refusal:
    """Return the answer of a key that has made all its uses."""
    return Refusal(
        Status.KEY_USAGE,
        f"the key has made the {record.policy.max_uses} uses that its policy allows: rotate it, or make a new one",
    )


def leased(record: Record) -> tuple[Record, int]:
    """Return the record after a node took a block of encryptions, and how many these are.

    Raises:
        Refusal: there are none left.
    """
    encryptions = min(GCM_BLOCK, GCM_ENCRYPTIONS - record.gcm_leased)
    if encryptions <= 0:
        raise Refusal(
            Status.KEY_USAGE,
            "the key has made the 2^32 AES-GCM encryptions that random nonces are safe for: rotate the key",
        )
    return rewritten_record(record, gcm_leased=record.gcm_leased + encryptions), encryptions
