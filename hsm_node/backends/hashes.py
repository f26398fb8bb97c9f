"""Hashes by CKM number, as `cryptography` objects made once."""

from typing import Final

from cryptography.hazmat.primitives import hashes

from hsm_node.core.refusal import Refusal
from hsm_wire.mechanisms import CKM_SHA256, CKM_SHA384, CKM_SHA512
from hsm_wire.parameters import CKG_MGF1_SHA256, CKG_MGF1_SHA384, CKG_MGF1_SHA512
from hsm_wire.statuses import Status

HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    CKM_SHA256: hashes.SHA256(),
    CKM_SHA384: hashes.SHA384(),
    CKM_SHA512: hashes.SHA512(),
}
MASK_HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    CKG_MGF1_SHA256: hashes.SHA256(),
    CKG_MGF1_SHA384: hashes.SHA384(),
    CKG_MGF1_SHA512: hashes.SHA512(),
}
HASH_BY_LENGTH: Final[dict[int, hashes.HashAlgorithm]] = {
    algorithm.digest_size: algorithm for algorithm in HASHES.values()
}


def parameter_hash(number: int) -> hashes.HashAlgorithm:
    """Return the hash that a parameter names; SHA-1 and unknown ones are refused."""
    algorithm = HASHES.get(number)
    if algorithm is None:
        raise Refusal(Status.BAD_REQUEST, f"the hash {number:#06x} is not SHA-256, SHA-384 or SHA-512")
    return algorithm


def parameter_mask(number: int) -> hashes.HashAlgorithm:
    """Return the hash of a mask generation function that a parameter names."""
    algorithm = MASK_HASHES.get(number)
    if algorithm is None:
        raise Refusal(Status.BAD_REQUEST, f"the mask function {number} is not MGF1 with SHA-256, SHA-384 or SHA-512")
    return algorithm
