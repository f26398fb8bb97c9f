"""HKDF (RFC 5869), and the secrets that it starts from."""

from typing import Final

from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hsm_node.backends.hashes import parameter_hash
from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.refusal import Refusal
from hsm_wire.mechanisms import CKM_HKDF_DERIVE
from hsm_wire.parameters import HkdfParameters, Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

OFFERED: Final[dict[int, Usage]] = {CKM_HKDF_DERIVE: Usage.DERIVE}
MIN_SECRET_BYTES: Final = 16
"""128 bits: what is derived from less is no stronger than that, whatever its length."""
MAX_SECRET_BYTES: Final = 1024
"""Longer than the shared secret of any agreement in use; the same bound as an HMAC key's."""


class SecretKey(SoftwareKey):
    """A secret that other keys are derived from, and nothing else."""

    __slots__ = ("_material",)

    def __init__(self, material: bytes) -> None:
        self._material = material

    def derive(self, _mechanism: int, parameters: Parameters | None, length: int) -> bytes:
        return derived_with_hkdf(self._material, parameters, length)


def derived_with_hkdf(material: bytes, parameters: Parameters | None, length: int) -> bytes:
    """Do what CKM_HKDF_DERIVE does with its parameters."""
    assert isinstance(parameters, HkdfParameters)  # the mechanism table says that they are required
    return hkdf(parameters.hash_mechanism, material, parameters.salt, parameters.info, length)


def hkdf(hash_mechanism: int, material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """Extract and expand; an empty salt is the hash's length of zeros (RFC 5869, section 2.2)."""
    return HKDF(parameter_hash(hash_mechanism), length, salt, info).derive(material)


def check_secret_material(material: bytes) -> None:
    """Refuse secrets that are weak, or longer than anyone needs."""
    if not MIN_SECRET_BYTES <= len(material) <= MAX_SECRET_BYTES:
        raise Refusal(Status.BAD_DATA, f"a secret has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes")
