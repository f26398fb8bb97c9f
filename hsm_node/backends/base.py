"""What the service asks of a back end, whatever stands behind it.

Which uses run on the loop and which in the sessions' threads goes by what they cost. Measured (one quiet core, 128
bytes of data, best of 15 rounds, microseconds):

| key | sign | verify | encrypt | decrypt |
|---|---|---|---|---|
| RSA-2048 / 3072 / 4096 | 212 / 605 / 1292 | 16 / 31 / 51 | 17 / 32 / 52 | 212 / 608 / 1292 |
| RSA-6144 / 8192 | 9800 / 22700 | 107 / 186 | 108 / 187 | 10000 / 22700 |
| P-256 | 17 | 44 | | |
| P-384 / P-521 | 149 / 165 | 339 / 308 | | |
| secp256k1 | 250 | 232 | | |
| Ed25519 / Ed448 | 20 / 137 | 63 / 142 | | |
| ML-DSA-44 / 65 / 87 | 320 / 550 / 636 | 85 / 131 / 203 | | |
| AES-GCM, HMAC | 1 | 1 | 1 | 1 |
| AES-CBC / CTR / CMAC | 1 | 1 | 3 / 5 | 3 / 4 |

64 KiB of data add 32 (SHA-256) to 110 (Ed25519, which hashes them twice), in CBC and CMAC 57. Above DEAR_S a pair of
key and operation goes to a thread, with the hand-over that this costs; so does everything with data above
LONG_DATA_BYTES. Ed448 and ML-DSA always do: SHAKE256, which they hash with, takes 100 to 210 more for 64 KiB.

What makes a key runs in a thread anyway: ECDH takes 43 (P-256) to 280 (P-384), X25519 27, ML-KEM 15 to 30, HKDF and the
key wraps 2. To load a key, on the loop, takes 1 (AES) to 190 (ML-DSA-87) and 245 (secp256k1, whose public key is
computed anew), once while it is among those at work.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES, Family, KeyType
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

DEAR_S: Final = 200e-6
"""The longest that one request should keep the loop: what a signature with RSA-2048 takes, which a thread does."""
LONG_DATA_BYTES: Final = 128 * 1024
"""Data from here on costs about DEAR_S with Ed25519, and less with everything else."""


class LoadedKey:
    """A key that can work. A family overrides what it does; the rest is refused."""

    __slots__ = ()

    dear: int = 0
    """Bits of Usage: the operations that take longer than DEAR_S, and so belong into a thread."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<secret>)"

    def sign(self, mechanism: int, _parameters: Parameters | None, _data: bytes) -> bytes:
        """Return the signature or MAC."""
        raise not_here(mechanism)

    def verify(self, mechanism: int, _parameters: Parameters | None, _data: bytes, _signature: bytes) -> None:
        """Return when the signature is right, raise BAD_SIGNATURE when not."""
        raise not_here(mechanism)

    def encrypt(
        self, mechanism: int, _parameters: Parameters | None, _data: bytes, *, caller_iv: bool
    ) -> tuple[bytes, bytes]:
        """Return (ciphertext, nonce that was used). `caller_iv`: the key's policy lets the caller choose it."""
        del caller_iv
        raise not_here(mechanism)

    def decrypt(self, mechanism: int, _parameters: Parameters | None, _data: bytes) -> bytes:
        """Return the plaintext."""
        raise not_here(mechanism)


class CheckKey(Protocol):
    """The key of the deep check. `sign` runs in a thread."""

    @property
    def public_point(self) -> bytes:
        """65 bytes: the P-256 point, uncompressed."""

    def sign(self, challenge: bytes) -> bytes:
        """Return ECDSA with SHA-256 as r || s, 64 bytes."""


class Backend(Protocol):
    """Makes, loads and uses keys. Whatever makes or wraps a key runs in a thread; `load` and the rest on the loop."""

    @property
    def offered(self) -> Mapping[int, Usage]:
        """Mechanism number -> the usages that work here."""

    @property
    def key_types(self) -> frozenset[str]:
        """Names of key types that can be made here."""

    @property
    def adopted(self) -> Mapping[int, Usage]:
        """The same with keys that were adopted."""

    @property
    def random_is_dear(self) -> bool:
        """Whether random bytes take longer than DEAR_S, and so belong into a thread."""

    def random(self, length: int) -> bytes:
        """Return random bytes."""

    def generate(self, key_type: KeyType) -> WrappedKey:
        """Make a key."""

    def import_key(self, key_type: KeyType, material: bytes) -> WrappedKey:
        """Take a key; BAD_DATA where the material is not of that type."""

    def adopt(self, partition: int, key_type: KeyType, device_object: str) -> WrappedKey:
        """Take a key that is in the device already, and stays there; MECHANISM_NOT_HERE where it is not."""

    def load(self, record: Record) -> LoadedKey:
        """Return the key at work; loading is cached."""

    def fresh(self, record: Record) -> LoadedKey:
        """Return the key at work to a thread: unwrapped anew, and not kept."""

    def wrap_key(self, record: Record, mechanism: int, parameters: Parameters | None, target: Record) -> bytes:
        """Return the target's material under the wrapping key `record`: PKCS#8 of private keys, bytes of secret ones.

        BAD_DATA where the mechanism cannot hold it.
        """

    def unwrap_key(
        self, record: Record, mechanism: int, parameters: Parameters | None, wrapped: bytes, key_type: KeyType
    ) -> WrappedKey:
        """Take a key that `record` unwraps; BAD_DATA, in one sentence, where it does not or is not of that type."""

    def derive(self, record: Record, mechanism: int, parameters: Parameters | None, key_type: KeyType) -> WrappedKey:
        """Make a secret key from `record` (ECDH, HKDF); BAD_DATA where the peer's public key is none."""

    def encapsulate(
        self, record: Record, mechanism: int, parameters: Parameters | None, key_type: KeyType
    ) -> tuple[bytes, WrappedKey]:
        """Return a ciphertext and the secret key that whoever decapsulates it gets (FIPS 203)."""

    def decapsulate(
        self, record: Record, mechanism: int, parameters: Parameters | None, ciphertext: bytes, key_type: KeyType
    ) -> WrappedKey:
        """Return the secret key of a ciphertext; BAD_DATA where it has the wrong length."""

    def check_key(self) -> "CheckKey":
        """Make the key of the deep check; called once, at start."""

    def forget(self, partition: int, key_id: bytes) -> None:
        """Drop a loaded key that was destroyed."""


class Outcome(NamedTuple):
    """Of a self-test."""

    offered: Mapping[int, Usage]
    """Mechanism number -> the usages that were proved."""
    failures: tuple[str, ...]
    """What failed and how, for the log."""


class Proved:
    """What a back end has proved, which is what it offers."""

    adopted: Mapping[int, Usage] = MappingProxyType({})

    def __init__(self, outcome: Outcome, families: frozenset[Family] = frozenset(Family)) -> None:
        """Offer it.

        Args:
            outcome: of the self-test.
            families: of keys that can be here at all; those made here are among them, and of use with what was proved.
        """
        self._outcome = outcome
        of_use = families & {family for number in outcome.offered for family in MECHANISMS[number].families}
        self._key_types = frozenset(row.name for row in KEY_TYPES.values() if row.family in of_use)

    @property
    def failures(self) -> tuple[str, ...]:
        """What the self-test found, for the log: it is not offered."""
        return self._outcome.failures

    @property
    def offered(self) -> Mapping[int, Usage]:
        return self._outcome.offered

    @property
    def key_types(self) -> frozenset[str]:
        return self._key_types


def not_here(mechanism: int) -> Refusal:
    """Return the answer for a mechanism that this back end lacks."""
    return Refusal(Status.MECHANISM_NOT_HERE, f"this node lacks mechanism {mechanism:#06x}", not_executed=True)


def in_one_device(record: Record) -> Refusal:
    """Return the answer for a key that another node's device has."""
    text = f"the key is in the device of {record.adopted_at}, where it was adopted, and not here"
    return Refusal(Status.MECHANISM_NOT_HERE, text, not_executed=True)


def bad_signature() -> Refusal:
    """Return the one answer for every signature that does not verify."""
    return Refusal(Status.BAD_SIGNATURE, "the signature does not verify")


def bad_ciphertext() -> Refusal:
    """Return the one answer for every ciphertext that does not decrypt: reasons would be an oracle."""
    return Refusal(Status.BAD_DATA, "the data does not decrypt with this key and these parameters")
