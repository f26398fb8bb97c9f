"""ML-DSA (FIPS 204) and ML-KEM (FIPS 203). Keys are kept as the seeds that they are made from."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey, MLDSA87PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey

from hsm_node.backends.base import bad_signature
from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.refusal import Refusal
from hsm_wire.mechanisms import CKM_ML_DSA, CKM_ML_KEM
from hsm_wire.parameters import MlDsaParameters, Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

OFFERED: Final[dict[int, Usage]] = {
    CKM_ML_DSA: Usage.SIGN | Usage.VERIFY,
    CKM_ML_KEM: Usage.ENCAPSULATE | Usage.DECAPSULATE,
}
SECRET_BITS: Final = 256
"""Of what ML-KEM agrees on, whatever its parameter set."""
_CIPHERTEXT_BYTES_768: Final = 1088
_CIPHERTEXT_BYTES_1024: Final = 1568

MlDsaPrivate = MLDSA44PrivateKey | MLDSA65PrivateKey | MLDSA87PrivateKey
MlKemPrivate = MLKEM768PrivateKey | MLKEM1024PrivateKey


class MlDsaKey(SoftwareKey):
    """An ML-DSA private key. Signatures are hedged (FIPS 204, section 3.4): two of the same data differ."""

    __slots__ = ("_private", "_public")

    dear = int(Usage.SIGN | Usage.VERIFY)

    def __init__(self, private: MlDsaPrivate) -> None:
        self._private = private
        self._public = private.public_key()

    def sign(self, _mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        return self._private.sign(data, _context(parameters))

    def verify(self, _mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        try:
            self._public.verify(signature, data, _context(parameters))
        except InvalidSignature:
            raise bad_signature() from None


class MlKemKey(SoftwareKey):
    """An ML-KEM private key."""

    __slots__ = ("_ciphertext_bytes", "_private", "_public")

    def __init__(self, private: MlKemPrivate) -> None:
        self._private = private
        self._public = private.public_key()
        small = isinstance(private, MLKEM768PrivateKey)
        self._ciphertext_bytes = _CIPHERTEXT_BYTES_768 if small else _CIPHERTEXT_BYTES_1024

    def encapsulate(self, _mechanism: int) -> tuple[bytes, bytes]:
        secret, ciphertext = self._public.encapsulate()
        return ciphertext, secret

    def decapsulate(self, _mechanism: int, ciphertext: bytes) -> bytes:
        if len(ciphertext) != self._ciphertext_bytes:
            raise Refusal(Status.BAD_DATA, f"the ciphertext of this key has {self._ciphertext_bytes} bytes")
        # Any other fault gives a secret that nobody else has (implicit rejection): there is nothing to report.
        return self._private.decapsulate(ciphertext)


def _context(parameters: Parameters | None) -> bytes | None:
    return parameters.context if isinstance(parameters, MlDsaParameters) else None
