"""Whether a stored key works: it is unwrapped, and shown to do what nothing but this key can do.

Theory. A record's MAC says that nobody has changed it, and nothing of what is in it. So the key is unwrapped anew, and
what it computes is checked without it: by the public key that its owner has, by a peer of an agreement, by the other
end of an encapsulation. A secret key has no other end; that it is the right one, RFC 5649's check value says when it is
unwrapped, and a round trip says that it computes. What is signed and decrypted is chance, and leaves nothing.

For threads: nothing that is loaded here stays among the keys at work.
"""

import hmac
import os
from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, mlkem, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hsm_node.backends.base import Backend, LoadedKey
from hsm_node.backends.key_derivation import hkdf
from hsm_node.backends.known_keys import MESSAGE, mac_by, temporary_record
from hsm_node.backends.proofs import DisproofError
from hsm_node.core.keyring import KeyringError
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.parameters import (
    CKG_MGF1_SHA256,
    EcdhParameters,
    GcmParameters,
    HkdfParameters,
    IvParameters,
    OaepParameters,
)
from hsm_wire.usages import Usage

CHALLENGE_BYTES: Final = 32
_DOMAIN: Final = b"redoubt proves a key\x00"
"""Before what is signed: no signature of a proof can be one of anything else."""
_NONE: Final = Usage(0)
_SIGNING: Final = Usage.SIGN | Usage.VERIFY
_KEM: Final = Usage.ENCAPSULATE | Usage.DECAPSULATE
_IV_BYTES: Final = 16
_SALT: Final = b"proof"
_SECRET: Final = KEY_TYPES["hmac-256"]
"""What is derived, agreed on and wrapped: its MAC tells whether it is the right one."""
_SECRET_BYTES: Final = _SECRET.size // 8


class Proven(NamedTuple):
    """What a key was seen to do."""

    usages: Usage
    """All that was tried and worked."""
    fault: str = ""
    """What is wrong with it, in words that hold no secret; empty: nothing."""


class _Tried(NamedTuple):
    """A key under trial."""

    backend: Backend
    record: Record
    key: LoadedKey
    public: PublicKeyTypes | None
    """That its owner has; None: a secret key."""


class _Trial(NamedTuple):
    """One thing that a key of a family can be shown to do."""

    mechanism: int
    usages: Usage
    run: Callable[[_Tried, int], None]
    """Raises what is wrong."""


class KeyProver:
    """Proves keys of one back end."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def prove(self, record: Record) -> Proven:
        """Try everything that the key of an authentic record is for; see `Proven`."""
        if record.device_object:  # It is in one device, and no copy of the store can have it.
            return Proven(_NONE)
        trials = self._trials(record)
        if not trials:
            return Proven(_NONE, f"this node offers nothing of what a key of type {record.key_type} is for")
        proven = _NONE
        doing = "unwrap"
        try:
            tried = _Tried(self._backend, record, self._backend.fresh(record), _public(record))
            for trial in trials:
                doing = ckm.MECHANISMS[trial.mechanism].name
                trial.run(tried, trial.mechanism)
                proven |= trial.usages
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of a library is none of Exception's, and no proof either
            return Proven(proven, f"{doing}: {_words(error)}")
        return Proven(proven)

    def _trials(self, record: Record) -> list[_Trial]:
        """Return what the key is for, of what is offered; for one that is for nothing, the first that there is."""
        offered = self._backend.offered
        known = _TRIALS[KEY_TYPES[record.key_type].family]
        able = [trial for trial in known if trial.usages & offered.get(trial.mechanism, _NONE)]
        wanted = [trial for trial in able if int(trial.usages) & record.usage]
        if not any(int(trial.usages) & record.usage for trial in known):
            wanted = able[:1]
        first = {trial.usages: trial for trial in reversed(wanted)}  # What two mechanisms show, one of them shows.
        return [trial for trial in wanted if first[trial.usages] is trial]


def _words(error: BaseException) -> str:
    """Return what an error says of a key. Only our own texts are shown: a library's may quote what it was given."""
    if isinstance(error, DisproofError | KeyringError | Refusal):
        return str(error)
    return f"the material is no such key, or the operation failed ({type(error).__name__})"


def _public(record: Record) -> PublicKeyTypes | None:
    return serialization.load_der_public_key(record.public_key) if record.public_key else None


def _signs(tried: _Tried, mechanism: int) -> None:
    data = _DOMAIN + os.urandom(CHALLENGE_BYTES)
    signature = tried.key.sign(mechanism, None, data)
    try:
        _verify(tried.public, mechanism, signature, data)
    except InvalidSignature:
        raise DisproofError("its signature does not verify with the public key that its owner has") from None


def _verify(public: PublicKeyTypes | None, mechanism: int, signature: bytes, data: bytes) -> None:
    if isinstance(public, rsa.RSAPublicKey):
        sha256 = hashes.SHA256()
        pss = PSS(MGF1(sha256), sha256.digest_size)
        public.verify(signature, data, PKCS1v15() if mechanism == ckm.CKM_SHA256_RSA_PKCS else pss, sha256)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        half = len(signature) // 2
        numbers = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        public.verify(encode_dss_signature(*numbers), data, ec.ECDSA(hashes.SHA256()))
    elif isinstance(
        public,
        ed25519.Ed25519PublicKey
        | ed448.Ed448PublicKey
        | mldsa.MLDSA44PublicKey
        | mldsa.MLDSA65PublicKey
        | mldsa.MLDSA87PublicKey,
    ):
        public.verify(signature, data)
    else:
        raise _other_type()


def _macs(tried: _Tried, mechanism: int) -> None:
    data = os.urandom(CHALLENGE_BYTES)
    mac = tried.key.sign(mechanism, None, data)
    tried.key.verify(mechanism, None, data, mac)
    if hmac.compare_digest(mac, tried.key.sign(mechanism, None, data[::-1])):
        raise DisproofError("two messages have one MAC")


def _decrypts(tried: _Tried, mechanism: int) -> None:
    """The other end is the public key; of a secret key it is the key itself."""
    data = os.urandom(CHALLENGE_BYTES)
    if tried.public is None:
        parameters: IvParameters | OaepParameters = IvParameters(os.urandom(_IV_BYTES))
        ciphertext, _ = tried.key.encrypt(mechanism, parameters, data, caller_iv=True)
        if ciphertext[: len(data)] == data:
            raise DisproofError("what it encrypts is not encrypted")
    elif isinstance(tried.public, rsa.RSAPublicKey):
        parameters = OaepParameters(ckm.CKM_SHA256, CKG_MGF1_SHA256)
        ciphertext = tried.public.encrypt(data, OAEP(MGF1(hashes.SHA256()), hashes.SHA256(), None))
    else:
        raise _other_type()
    if tried.key.decrypt(mechanism, parameters, ciphertext) != data:
        raise DisproofError("what was encrypted for it does not decrypt to what it was")


def _opens(tried: _Tried, mechanism: int) -> None:
    data = os.urandom(CHALLENGE_BYTES)
    ciphertext, nonce = tried.key.encrypt(mechanism, None, data, caller_iv=False)
    if tried.key.decrypt(mechanism, GcmParameters(nonce), ciphertext) != data:
        raise DisproofError("what it encrypted does not decrypt to what it was")


def _agrees(tried: _Tried, mechanism: int) -> None:
    """Both ends: this key with a peer's public key, and the peer with this key's."""
    public = tried.public
    if isinstance(public, ec.EllipticCurvePublicKey):
        peer: ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey = ec.generate_private_key(public.curve)
        assert isinstance(peer, ec.EllipticCurvePrivateKey)
        shared = peer.exchange(ec.ECDH(), public)
    elif isinstance(public, x25519.X25519PublicKey):
        peer = x25519.X25519PrivateKey.generate()
        shared = peer.exchange(public)
    else:
        raise _other_type()
    info = os.urandom(CHALLENGE_BYTES)
    of_peer = peer.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    parameters = EcdhParameters(of_peer, ckm.CKM_SHA256, info, _SALT)
    made = tried.backend.derive(tried.record, mechanism, parameters, _SECRET)
    if _mac_of(tried, made) != mac_by(hkdf(ckm.CKM_SHA256, shared, _SALT, info, _SECRET_BYTES)):
        raise DisproofError("it and its peer do not agree on the same key")


def _derives(tried: _Tried, mechanism: int) -> None:
    info = os.urandom(CHALLENGE_BYTES)
    macs = {
        _mac_of(tried, tried.backend.derive(tried.record, mechanism, parameters, _SECRET))
        for parameters in 2 * (HkdfParameters(ckm.CKM_SHA256, _SALT, info),)
    }
    if len(macs) != 1:
        raise DisproofError("what is derived from it twice is not the same key")


def _decapsulates(tried: _Tried, mechanism: int) -> None:
    if not isinstance(tried.public, mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey):
        raise _other_type()
    secret, ciphertext = tried.public.encapsulate()
    made = tried.backend.decapsulate(tried.record, mechanism, None, ciphertext, _SECRET)
    if _mac_of(tried, made) != mac_by(secret):
        raise DisproofError("what was encapsulated for it is another key than it decapsulates")


def _unwraps(tried: _Tried, mechanism: int) -> None:
    material = os.urandom(_SECRET_BYTES)
    target = temporary_record(_SECRET.name, tried.backend.import_key(_SECRET, material))
    wrapped = tried.backend.wrap_key(tried.record, mechanism, None, target)
    back = tried.backend.unwrap_key(tried.record, mechanism, None, wrapped, _SECRET)
    if _mac_of(tried, back) != mac_by(material):
        raise DisproofError("what it wrapped is another key than it unwraps")


def _mac_of(tried: _Tried, made: WrappedKey) -> bytes:
    """Return what a new key says of the message: it tells keys apart, and shows no material."""
    return tried.backend.fresh(temporary_record(_SECRET.name, made)).sign(ckm.CKM_SHA256_HMAC, None, MESSAGE)


def _other_type() -> DisproofError:
    return DisproofError("its public key is not of its type")


_TRIALS: Final[dict[Family, tuple[_Trial, ...]]] = {
    Family.RSA: (
        _Trial(ckm.CKM_SHA256_RSA_PKCS_PSS, _SIGNING, _signs),
        _Trial(ckm.CKM_SHA256_RSA_PKCS, _SIGNING, _signs),
        _Trial(ckm.CKM_RSA_PKCS_OAEP, Usage.ENCRYPT | Usage.DECRYPT | Usage.WRAP | Usage.UNWRAP, _decrypts),
    ),
    Family.EC: (
        _Trial(ckm.CKM_ECDSA_SHA256, _SIGNING, _signs),
        _Trial(ckm.CKM_ECDH1_DERIVE, Usage.DERIVE, _agrees),
    ),
    Family.ED: (_Trial(ckm.CKM_EDDSA, _SIGNING, _signs),),
    Family.X: (_Trial(ckm.CKM_ECDH1_DERIVE, Usage.DERIVE, _agrees),),
    # AES-GCM where there is nothing else: its nonces are counted, and those of proofs are not; they are few.
    Family.AES: (
        _Trial(ckm.CKM_AES_CBC, Usage.ENCRYPT | Usage.DECRYPT, _decrypts),
        _Trial(ckm.CKM_AES_GCM, Usage.ENCRYPT | Usage.DECRYPT, _opens),
        _Trial(ckm.CKM_AES_CMAC, _SIGNING, _macs),
        _Trial(ckm.CKM_AES_KEY_WRAP_KWP, Usage.WRAP | Usage.UNWRAP, _unwraps),
        _Trial(ckm.CKM_HKDF_DERIVE, Usage.DERIVE, _derives),
    ),
    Family.HMAC: (_Trial(ckm.CKM_SHA256_HMAC, _SIGNING, _macs),),
    Family.SECRET: (_Trial(ckm.CKM_HKDF_DERIVE, Usage.DERIVE, _derives),),
    Family.ML_DSA: (_Trial(ckm.CKM_ML_DSA, _SIGNING, _signs),),
    Family.ML_KEM: (_Trial(ckm.CKM_ML_KEM, _KEM, _decapsulates),),
}
