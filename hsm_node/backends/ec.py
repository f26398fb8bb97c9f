"""ECDSA and ECDH on the NIST curves (FIPS 186-5, SP 800-56A) and secp256k1 (SEC 2).

On the wire a signature is r || s, each as long as the curve's order.
"""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from hsm_node.backends.base import bad_signature
from hsm_node.backends.hashes import HASH_BY_LENGTH, HASHES
from hsm_node.backends.key_agreement import agreed_key, agreement, wrong_peer
from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.mechanisms import HASH_NAMES, MECHANISMS
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "ec-p256": ec.SECP256R1(),
    "ec-p384": ec.SECP384R1(),
    "ec-p521": ec.SECP521R1(),
    "ec-secp256k1": ec.SECP256K1(),
}
_SIGNING: Final = Usage.SIGN | Usage.VERIFY
OFFERED: Final[dict[int, Usage]] = {
    ckm.CKM_ECDSA: _SIGNING,
    ckm.CKM_ECDSA_SHA256: _SIGNING,
    ckm.CKM_ECDSA_SHA384: _SIGNING,
    ckm.CKM_ECDSA_SHA512: _SIGNING,
}
# Above DEAR_S; the others' signatures are below.
_DEAR: Final[dict[str, Usage]] = {
    "secp384r1": Usage.VERIFY,
    "secp521r1": Usage.VERIFY,
    "secp256k1": Usage.SIGN | Usage.VERIFY,
}
# Made once: signing with P-256 costs no more than ten times what making these objects would.
_WHOLE: Final = {
    number: ec.ECDSA(HASHES[MECHANISMS[number].hash_mechanism])
    for number in (ckm.CKM_ECDSA_SHA256, ckm.CKM_ECDSA_SHA384, ckm.CKM_ECDSA_SHA512)
}
_DIGEST: Final = {length: ec.ECDSA(Prehashed(algorithm)) for length, algorithm in HASH_BY_LENGTH.items()}


class EcPublicKey(SoftwareKey):
    """What is done with the public half, wherever the private one is."""

    __slots__ = ("_bytes", "_public")

    def __init__(self, public: ec.EllipticCurvePublicKey) -> None:
        self._public = public
        self._bytes = (public.curve.key_size + 7) // 8

    def digest(self, mechanism: int, data: bytes) -> bytes:
        """Return what is signed with this mechanism: the data, which is a digest, or its hash."""
        _algorithm(mechanism, data)
        number = MECHANISMS[mechanism].hash_mechanism
        return hashlib.new(HASH_NAMES[number], data).digest() if number else data

    def verify(self, mechanism: int, _parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        algorithm = _algorithm(mechanism, data)
        size = self._bytes
        if len(signature) != 2 * size:
            raise bad_signature()
        der = encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))
        try:
            self._public.verify(der, data, algorithm)
        except InvalidSignature:
            raise bad_signature() from None


class EcKey(EcPublicKey):
    """An EC private key."""

    __slots__ = ("_private", "dear")

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        super().__init__(private.public_key())
        self._private = private
        self.dear = int(_DEAR.get(private.curve.name, 0))

    def sign(self, mechanism: int, _parameters: Parameters | None, data: bytes) -> bytes:
        r, s = decode_dss_signature(self._private.sign(data, _algorithm(mechanism, data)))
        return r.to_bytes(self._bytes, "big") + s.to_bytes(self._bytes, "big")

    def derive(self, _mechanism: int, parameters: Parameters | None, length: int) -> bytes:
        parameters, peer = agreement(parameters)
        curve = self._private.curve
        if not isinstance(peer, ec.EllipticCurvePublicKey) or peer.curve.name != curve.name:
            raise wrong_peer(f"on the curve {curve.name}")
        return agreed_key(parameters, self._private.exchange(ec.ECDH(), peer), length)


def _algorithm(mechanism: int, data: bytes) -> ec.ECDSA:
    whole = _WHOLE.get(mechanism)
    if whole is not None:
        return whole
    digest = _DIGEST.get(len(data))
    if digest is None:
        raise Refusal(Status.BAD_DATA, "CKM_ECDSA takes a digest of 32, 48 or 64 bytes")
    return digest
