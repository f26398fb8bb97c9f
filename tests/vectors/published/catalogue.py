"""Published test vectors in one form, for whatever can take a key and use it: a back end, or a client of a cluster.

The files come from three places: the package `cryptography_vectors` (NIST's CAVP files, the RFCs' examples, known
answers of ML-DSA and ML-KEM), and beside this module wycheproof.json (the Wycheproof project, Apache-2.0) and acvp.json
(NIST's ACVP-Server), both made by extract.py.

What the product refuses by its policy is among the cases, with the status that it must answer: nonces of other than 8
to 128 bytes, tags of other than 128 bits, short HMAC keys, RSA below 2048 bits or with an exponent below 65537, SHA-1
and SHA-224 as parameters. Left out is what has no private key, as the product verifies with its own keys only: ECDSA's
SigVer, SigGen of RSA without d.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache

from published import curves, post_quantum, rsa, symmetric, wycheproof
from published.case import Case

from hsm_wire.mechanisms import MECHANISMS

SOURCES = (
    symmetric.gcm,
    symmetric.cbc,
    symmetric.ctr,
    symmetric.cmac,
    symmetric.key_wrap,
    symmetric.rfc_key_wrap,
    symmetric.hmacs,
    symmetric.hkdf,
    curves.key_pairs,
    curves.ecdsa,
    curves.ecdh,
    curves.x25519_agreement,
    curves.eddsa,
    curves.ed448_signatures,
    rsa.pkcs1_signatures,
    rsa.pss_signatures,
    rsa.laboratories,
    rsa.oaep,
    rsa.large_keys,
    post_quantum.acvp_keys,
    post_quantum.ml_dsa,
    post_quantum.ml_kem,
    wycheproof.ciphers,
    wycheproof.macs,
    wycheproof.derivations,
    wycheproof.agreements,
    wycheproof.key_wraps,
    wycheproof.rsa_decryption,
    wycheproof.rsa_signatures,
    wycheproof.post_quantum,
)
_Kind = tuple[object, ...]


@cache
def all_cases() -> tuple[Case, ...]:
    """Return every case that there is."""
    return tuple(case for source in SOURCES for case in source())


def sample(cases: Iterable[Case], most: int) -> list[Case]:
    """Return at most that many of each kind: file, mechanism, use, type of key and outcome, spread over the kind."""
    kinds: dict[_Kind, list[Case]] = {}
    for case in cases:
        source = case.name.partition(" ")[0] if not case.name.startswith("Wycheproof") else case.name.split()[1]
        kind = source, case.mechanism, case.usage, case.key_type, case.new_key_type, case.refused, case.unlike
        kinds.setdefault(kind, []).append(case)
    return [case for found in kinds.values() for case in _spread(found, most)]


def _spread(found: list[Case], most: int) -> list[Case]:
    step = max(1.0, len(found) / most)
    return [found[int(index * step)] for index in range(min(most, len(found)))]


class Count:
    """How many vectors were tried."""

    def __init__(self, cases: Iterable[Case]) -> None:
        cases = [case for case in cases if not case.computed]
        counting = [case for case in cases if not case.by_policy]
        self.uses = len(counting)
        """Ways in which a vector was used: made and verified, as data and as its digest."""
        self.vectors = len({case.name for case in counting})
        """Published ones."""
        self.refused_by_policy = len(cases) - len(counting)
        """Others, whose refusal was checked."""
        self.by_mechanism = Counter(mechanism for mechanism, _ in {(case.mechanism, case.name) for case in counting})
        """Number of a mechanism -> vectors."""

    def lines(self, where: str) -> Iterator[tuple[str, int]]:
        """Yield what the suite prints: (what, how many)."""
        for number, vectors in sorted(self.by_mechanism.items()):
            yield f"published vectors, {where}, {MECHANISMS[number].alias}", vectors
        yield f"published vectors, {where}, in all", self.vectors
        yield f"published vectors, {where}, uses of them", self.uses
        yield f"published vectors, {where}, others that policy refuses", self.refused_by_policy
