"""The keys of the self-test: published or made for it, known to everybody, and never anybody's own."""

import base64
import hmac
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey, MLDSA87PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hsm_node.backends.base import Backend, LoadedKey
from hsm_node.backends.ec import CURVES
from hsm_node.backends.private_keys import pkcs8
from hsm_node.core.keyring import MASTER_KEY_VERSION
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_wire.key_messages import Policy
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import CKM_SHA256_HMAC

_RSA_2048: Final = (
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDrsFjMoxgMFa1kqNmU+0RatUAXvQVThoocsvC3vAArBaP+XUeMoavNt3Djwv6s"
    "HfHc/ZxN3KblKxIinM7kUdozk1i61TZw0+LXSw7h3MRnYnoUI9Agaqd+IHX/PmQtsqClSMCoXmWGc1TewHw/udD6mRv/fF9+NmyCTGFc5u7SdgQv"
    "w3k1a82C5lEZ3f09BmMVkWFuiNG0MWG4eJEqZFbsLE2Q/PSvQMqIGfL4+too0SillZxqEv0dDJRFzbRI7XafIjSp62QHNeLZdbdu7yBWBzSecybe"
    "4J0uUtWYYwXCAR9bERUfxl7rpUbIqF/EIcyfutVEOrd4xfXl03fuTURHAgMBAAECggEAGCq88D7I+HRAk1G8/cnF+IcdS1HWefoRr1+pzy031zF8"
    "31gxPfpV44Ir0S7tbjij1EUtAc7eTiFcerAZhs/dz+wL7RxvuKIBYJIRtJcujGtMmUQS00AcbJJnhwSewRDP6CLNnnYPcvngefbCxsYG56tLc6cN"
    "I6Pw/GtYkG4djvbYlWqj6yjalig//HydxUUOGqe5swXfZ2Ty0kWPVrRsR7MK9eTF5AF/kKvo052plbrY8VNLUOt6YwJwZ+1gx5ZY6wQuDnNfFKaK"
    "g5wfydIop55oa3IklV9xP1XcHsePnz3OU/Hwt987QC+A214ELVZiLmsg/Xl1qHrpt9b7OlbiAQKBgQD5y7W/PC1REhG+6SgaCFyabgTdpNmoWHcP"
    "KfbAKVFalPHq9vKLHYruO3NWb2OtAPCdxZ4a39w2/yl3uhN48rZTun/Ri23FaDv7WdwVoK3Y6p3ekqUQsyc19hAMzkVrVCsl1rEsk1h+PexLsLGs"
    "xggJkfiBGU2raZkWqg6jhjVSFQKBgQDxivC5JKSqzV6y7JLBACLzVQqFNPoKYHAuUdhOtVmTpn3w482e33KtSI56bBYQYQDl1veiSyyXPbQMTaP1"
    "DWkZFrnQH6fFUy5a69esjPY2lwcziZL2MHJyPN3GyMGgQ+Bt3pLuRR3pO/EEbo8Y9cZGhygkTA07hzrOq+UEgjj/6wKBgQCp6fJ34ZQluDfP98Mq"
    "ahOrjDjNF4xiocJi0zWgIrrO9c/U9yOmk3LkeBYNbnmLvb7uYvUX7LxbwJdRdIY4WEjDjXHSdJg3lp5ubAJzx7dZfMXkFzYmtOZwIy9ptomr5zXu"
    "aCpeWt/wB2kLV2aUUqQ29k7mafLWLV9P9l88xlbQvQKBgQDDEyRhUq/O5jgiJyBK0VJo1Xi+pk9+i+5t6lnZD2u97IvwPfr14Z7bRisTwjF7nuw7"
    "tAahQzdLGmFMQnQ1WFRWF92PsdEsc4aPlcPErr+2zPja7bQMMoprqq6uebqvNcKO2WAvIREMKgX4P1ZAoVY15bhMwEM7nXaoLXmzz3w7awKBgDms"
    "LVlMuVVy+8OalIPweMGEohUT+mM/xEXQry6eIRjMsVy/G6UxibLm5n0DqWumE0z/entlvOMhmSmMDgOfcq7EyBw6y6y0SVaUxTJqUP7Eu+YxSK+c"
    "ozzRVWTYnbWmmcAU9fh7MOGLEitLtLS0To12CBPZN11lPS3ERfGMYH1y"
)
_SEED: Final = bytes(range(32))
# RFC 6979, A.2.5 to A.2.7: x of the keys on the NIST curves.
_SCALARS: Final = {
    "ec-p256": 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721,
    "ec-p384": 0x6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5,
    "ec-p521": (
        0x0FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538
    ),
    "ec-secp256k1": 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721,
}
_MADE: Final[dict[str, Callable[[], bytes]]] = {
    "rsa-2048": lambda: base64.b64decode(_RSA_2048),
    # RFC 8032, 7.1 (test 1) and 7.4 (blank); RFC 7748, 5.2.
    "ed25519": lambda: pkcs8(
        Ed25519PrivateKey.from_private_bytes(
            bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
        )
    ),
    "ed448": lambda: pkcs8(
        Ed448PrivateKey.from_private_bytes(
            bytes.fromhex(
                "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f032e7549a2"
                "0098f95b"
            )
        )
    ),
    "x25519": lambda: pkcs8(
        X25519PrivateKey.from_private_bytes(
            bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
        )
    ),
    "ml-dsa-44": lambda: pkcs8(MLDSA44PrivateKey.from_seed_bytes(_SEED)),
    "ml-dsa-65": lambda: pkcs8(MLDSA65PrivateKey.from_seed_bytes(_SEED)),
    "ml-dsa-87": lambda: pkcs8(MLDSA87PrivateKey.from_seed_bytes(_SEED)),
    "ml-kem-768": lambda: pkcs8(MLKEM768PrivateKey.from_seed_bytes(2 * _SEED)),
    "ml-kem-1024": lambda: pkcs8(MLKEM1024PrivateKey.from_seed_bytes(2 * _SEED)),
    # SP 800-38A, F.2.1; RFC 5649, 6; RFC 3394, 4.6.
    "aes-128": lambda: bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"),
    "aes-192": lambda: bytes.fromhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8"),
    "aes-256": lambda: _SEED,
    # RFC 4231, 4.2, with the zeros that HMAC itself would put behind it: so the answers are those published, and a
    # device takes it that keeps whole units of 8 bytes, or no HMAC key shorter than its hash. RFC 5649; RFC 3394, 4.6.
    "hmac-256": lambda: 20 * b"\x0b" + bytes(44),
    "hmac-384": lambda: bytes.fromhex("c37b7e6492584340bed12207808941155068f738"),
    "hmac-512": lambda: bytes.fromhex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f"),
    # RFC 5869, A.1.
    "secret-256": lambda: 22 * b"\x0b",
}
MESSAGE: Final = b"the self-test"
_MAC: Final = CKM_SHA256_HMAC
_PARTITION: Final = 0
"""Real ones count from 1: nothing that is loaded for the test is taken for somebody's key."""
_MADE_ID: Final = b"made"


def known_material(key_type: str) -> bytes:
    """Return the known key of a type, as IMPORT_KEY takes it."""
    scalar = _SCALARS.get(key_type)
    if scalar is None:
        return _MADE[key_type]()
    return pkcs8(derive_private_key(scalar, CURVES[key_type]))


class KnownKeys:
    """The known keys in a back end; each is imported when it is first asked for."""

    def __init__(self, backend: Backend, *, apart: bool = False) -> None:
        """Import nothing yet.

        Args:
            backend: that is tested.
            apart: each key is unwrapped anew and kept nowhere: a thread may do that beside the back end's other work.
        """
        self.backend = backend
        self._apart = apart
        self._records: dict[str, Record] = {}

    def record(self, key_type: str) -> Record:
        """Return the record of the known key of a type."""
        record = self._records.get(key_type)
        if record is None:
            made = self.backend.import_key(KEY_TYPES[key_type], known_material(key_type))
            record = self._records[key_type] = _record(key_type, made, key_type.encode())
        return record

    def loaded(self, key_type: str) -> LoadedKey:
        """Return the known key of a type, at work."""
        record = self.record(key_type)
        return self.backend.fresh(record) if self._apart else self.backend.load(record)

    def unload(self, key_type: str) -> None:
        """Have the key loaded anew when it is asked for next."""
        self._forget(key_type.encode())

    def mac_of(self, made: WrappedKey) -> bytes:
        """Return what a new HMAC key says of the message: it tells keys apart, and shows no material."""
        self._forget(_MADE_ID)
        record = temporary_record("hmac-256", made)
        key = self.backend.fresh(record) if self._apart else self.backend.load(record)
        return key.sign(_MAC, None, MESSAGE)

    def clear(self) -> None:
        """Unload them."""
        self._forget(_MADE_ID)
        for key_type in self._records:
            self.unload(key_type)

    def _forget(self, key_id: bytes) -> None:
        if not self._apart:
            self.backend.forget(_PARTITION, key_id)


def mac_by(material: bytes) -> bytes:
    """Return what a key of this material must say of the message."""
    return hmac.digest(material, MESSAGE, "sha256")


def temporary_record(key_type: str, made: WrappedKey) -> Record:
    """Return the record of a key that was made for a proof: it is nobody's, and no store has it."""
    return _record(key_type, made, _MADE_ID)


def _record(key_type: str, made: WrappedKey, key_id: bytes) -> Record:
    return Record(
        cluster_id=b"",
        partition=_PARTITION,
        key_id=key_id,
        version=1,
        epoch=1,
        master_key_version=MASTER_KEY_VERSION,
        key_type=key_type,
        true_length=made.true_length,
        label="",
        usage=int(KEY_TYPES[key_type].usages),
        enabled=True,
        destroyed=False,
        created=0,
        origin="imported",
        public_key=made.public_key,
        policy=Policy(),
        creation_digest=b"",
        changes=(),
        wrapped=made.wrapped,
    )
