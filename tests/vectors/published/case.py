"""One use of one key, and what must come of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

PUBLIC = Usage(0)
"""The use of a key that is none: its public key is looked at."""
WRAPPING = Usage.WRAP | Usage.UNWRAP
MAKING = Usage.UNWRAP | Usage.DERIVE | Usage.DECAPSULATE
"""What gives a key instead of bytes."""
PROBE = b"what a key computes shows which it is"


@dataclass(frozen=True, repr=False)
class Case:
    """See the module."""

    name: str
    """Where it is published; what uses one vector in several ways has one name."""
    usage: Usage
    mechanism: int
    key_type: str
    material: bytes
    """Of the key, as IMPORT_KEY takes it."""
    data: bytes = b""
    """What is signed, verified, encrypted or decrypted; the ciphertext of a key; the material of the key to wrap."""
    parameters: Parameters | None = None
    signature: bytes = b""
    """What is verified."""
    expected: bytes = b""
    """Signature, ciphertext, plaintext or wrapped key; the material of a new key; the SHA-256 of a public key."""
    refused: Status | None = None
    """What is answered instead, to the import of the key or to its use."""
    by_policy: bool = False
    """It is refused because the product is stricter than the vector."""
    unlike: bool = False
    """Anything but `expected` is answered (RSA's implicit rejection)."""
    computed: bool = False
    """The answer is not published: it was computed by what a publication says."""
    new_key_type: str = ""
    """Of the key that is made, or is to be wrapped: one that computes MACs."""

    def __repr__(self) -> str:
        return f"{MECHANISMS[self.mechanism].alias} {self.usage.name or 'PUBLIC'} {self.key_type} {self.name}"

    @property
    def flags(self) -> PolicyFlag:
        """What the key's policy must allow."""
        own_iv = self.usage is Usage.ENCRYPT and self.parameters is not None
        return MECHANISMS[self.mechanism].needed_flags(self.usage) | (PolicyFlag.CALLER_IV if own_iv else PolicyFlag(0))

    @property
    def answer(self) -> Status | bytes:
        """What must come of it, of a new key what it computes."""
        if self.refused is not None:
            return self.refused
        return computed_by(self.new_key_type, self.expected) if self.usage & MAKING else self.expected

    def agrees(self, outcome: Status | bytes) -> bool:
        """Whether that is what must come of it."""
        return isinstance(outcome, bytes) and outcome != self.answer if self.unlike else outcome == self.answer


def computed_by(key_type: str, material: bytes) -> bytes:
    """Return the MAC that such a key makes of PROBE."""
    mac: CMAC | HMAC
    mac = CMAC(AES(material)) if KEY_TYPES[key_type].family is Family.AES else HMAC(material, SHA256())
    mac.update(PROBE)
    return mac.finalize()


def public_digest(info: bytes) -> bytes:
    """Return the SHA-256 of the public key in a SubjectPublicKeyInfo, in the form in which it is published."""
    public = serialization.load_der_public_key(info)
    if isinstance(public, EllipticCurvePublicKey):
        point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    else:
        point = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return sha256(point).digest()


def probing_mechanism(key_type: str) -> int:
    """Return the mechanism that makes it."""
    return ckm.CKM_AES_CMAC if KEY_TYPES[key_type].family is Family.AES else ckm.CKM_SHA256_HMAC


def made_and_verified(case: Case) -> Iterator[Case]:
    """Yield a deterministic signature as one to make and as one to verify."""
    yield case
    yield replace(case, usage=Usage.VERIFY, signature=case.expected, expected=b"")


def target_type(material: bytes, wrapping: str) -> str:
    """Return a type for material that is wrapped: AES where it fits and is not too strong for the wrapping key."""
    name = f"aes-{8 * len(material)}"
    return name if name in KEY_TYPES and KEY_TYPES[name].strength <= KEY_TYPES[wrapping].strength else "hmac-256"
