"""Whether the numbers of an RSA key that somebody brings fit together.

The library's own check looks whether the primes are prime, and holds Python's lock meanwhile: a quarter of a second for
4096 bits, four seconds for 8192, in which the whole node stands still and proxies give it up. Here the numbers are
compared, in milliseconds, and the key must open what its public part closed, which the library does without the lock.
Factors that are not prime fail at that, all but those chosen with care: whoever does so weakens a key that is his own.
"""

import math
import os
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status

_TRIALS: Final = 2
"""Random messages; a composite factor that was not chosen for this fails at the first."""
_SHA256: Final = hashes.SHA256()


def check_consistent(private: RSAPrivateKey) -> None:
    """Refuse a key whose numbers contradict each other, or that does not work."""
    if not _fit_together(private.private_numbers()) or not _works(private):
        raise Refusal(Status.BAD_DATA, "the numbers of this RSA key do not fit together")


def _fit_together(numbers: RSAPrivateNumbers) -> bool:
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    d, p, q = numbers.d, numbers.p, numbers.q
    if not (p > 2 and q > 2 and p != q and p & q & e & 1 and p * q == n and 1 < d < n and 1 < e < n):
        return False
    return (
        d * e % math.lcm(p - 1, q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and 0 < numbers.iqmp < p
        and q * numbers.iqmp % p == 1
    )


def _works(private: RSAPrivateKey) -> bool:
    padding, algorithm, public = PKCS1v15(), Prehashed(_SHA256), private.public_key()
    for _ in range(_TRIALS):
        digest = os.urandom(_SHA256.digest_size)
        try:
            public.verify(private.sign(digest, padding, algorithm), digest, padding, algorithm)
        except (InvalidSignature, ValueError):
            return False
    return True
