"""A key in the cluster, for the blocking client."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Unpack

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from hsm_client import client, encodings, keys
from hsm_client.derivations import PeerPublicKey
from hsm_client.durabilities import Durability
from hsm_client.keys import Encrypted
from hsm_client.new_keys import NewKey
from hsm_client.versions import Versions
from hsm_wire import messages as m
from hsm_wire.parameters import Parameters

if TYPE_CHECKING:
    from hsm_client.sync import Hsm

_T = TypeVar("_T")


class Encapsulated(NamedTuple):
    """A new secret key, and what the holder of the private key needs to make it too."""

    ciphertext: bytes
    key: "Key"


class Key:
    """A key in the cluster; see hsm_client.keys.Key."""

    def __init__(self, hsm: "Hsm", info: m.KeyInfo) -> None:
        self._hsm = hsm
        self.info = info
        self._versions = Versions()

    @property
    def id(self) -> str:
        """The id: 32 hex digits."""
        return self.info.key_id.hex()

    @property
    def label(self) -> str:
        """The label."""
        return self.info.label

    @property
    def type(self) -> str:
        """The type by name."""
        return self.info.key_type

    def __repr__(self) -> str:
        return f"<Key {self.id} {self.type} label={self.label!r}>"

    def _run(self, work: Callable[[keys.Key], Coroutine[Any, Any, _T]]) -> _T:
        return self._hsm.run(lambda hsm: work(self.within(hsm)))

    def _made(self, work: Callable[[keys.Key], Coroutine[Any, Any, keys.Key]]) -> "Key":
        return Key(self._hsm, self._run(work).info)

    def within(self, hsm: client.Hsm) -> keys.Key:
        """Return this key as the asyncio client has it; both share what was read of earlier versions."""
        return keys.Key(hsm, self.info, self._versions)

    def sign(
        self,
        data: bytes,
        mechanism: str | int,
        *,
        prehashed: bool = False,
        context: bytes = b"",
        parameters: Parameters | None = None,
    ) -> bytes:
        """Sign (or MAC) data, or its digest; ECDSA signatures are DER."""
        return self._run(
            lambda key: key.sign(data, mechanism, prehashed=prehashed, context=context, parameters=parameters)
        )

    def verify(
        self,
        data: bytes,
        signature: bytes,
        mechanism: str | int,
        *,
        prehashed: bool = False,
        context: bytes = b"",
        parameters: Parameters | None = None,
    ) -> None:
        """Check a signature in the cluster, with the key's earlier versions too; raises BadSignature."""
        self._run(
            lambda key: key.verify(
                data, signature, mechanism, prehashed=prehashed, context=context, parameters=parameters
            )
        )

    def encrypt(
        self,
        data: bytes,
        mechanism: str | int = "aes-gcm",
        aad: bytes = b"",
        *,
        iv: bytes = b"",
        parameters: Parameters | None = None,
    ) -> Encrypted:
        """Encrypt."""
        return self._run(lambda key: key.encrypt(data, mechanism, aad, iv=iv, parameters=parameters))

    def decrypt(
        self,
        data: bytes | Encrypted,
        mechanism: str | int = "aes-gcm",
        aad: bytes = b"",
        *,
        iv: bytes = b"",
        parameters: Parameters | None = None,
    ) -> bytes:
        """Decrypt."""
        return self._run(lambda key: key.decrypt(data, mechanism, aad, iv=iv, parameters=parameters))

    def wrap(self, target: "Key", mechanism: str | int = "aes-kwp", *, parameters: Parameters | None = None) -> bytes:
        """Return the material of `target`, which must be exportable, encrypted by this key."""
        return self._hsm.run(lambda hsm: self.within(hsm).wrap(target.within(hsm), mechanism, parameters=parameters))

    def derive(
        self, mechanism: str | int, key_type: str, *, parameters: Parameters | None = None, **new: Unpack[NewKey]
    ) -> "Key":
        """Make a key from this one."""
        return self._made(lambda key: key.derive(mechanism, key_type, parameters=parameters, **new))

    def ecdh(
        self,
        peer_public_key: PeerPublicKey,
        key_type: str = "aes-256",
        *,
        kdf_hash: str = "sha256",
        info: bytes = b"",
        salt: bytes = b"",
        **new: Unpack[NewKey],
    ) -> "Key":
        """Agree on a key with the holder of another EC or X25519 key."""
        return self._made(
            lambda key: key.ecdh(peer_public_key, key_type, kdf_hash=kdf_hash, info=info, salt=salt, **new)
        )

    def hkdf(
        self,
        key_type: str,
        *,
        hash: str = "sha256",  # noqa: A002 - the name that RFC 5869 gives it
        salt: bytes = b"",
        info: bytes = b"",
        **new: Unpack[NewKey],
    ) -> "Key":
        """Derive a key by HKDF (RFC 5869)."""
        return self._made(lambda key: key.hkdf(key_type, hash=hash, salt=salt, info=info, **new))

    def encapsulate(self, key_type: str = "secret-256", **new: Unpack[NewKey]) -> Encapsulated:
        """Make a secret key that only the holder of this ML-KEM key's private part can make too."""
        made = self._run(lambda key: key.encapsulate(key_type, **new))
        return Encapsulated(made.ciphertext, Key(self._hsm, made.key.info))

    def decapsulate(self, ciphertext: bytes, key_type: str = "secret-256", **new: Unpack[NewKey]) -> "Key":
        """Make the secret key that belongs to a ciphertext of `encapsulate`."""
        return self._made(lambda key: key.decapsulate(ciphertext, key_type, **new))

    def rotate(self, *, key_id: str | bytes | None = None, durability: Durability | None = None) -> "Key":
        """Make the next version of the key and return it."""
        return self._made(lambda key: key.rotate(key_id=key_id, durability=durability))

    def public_key(self) -> PublicKeyTypes:
        """Return the public part as a `cryptography` key."""
        return encodings.load_public_key(self.info)

    def describe(self) -> m.KeyInfo:
        """Read the key again."""
        self.info = self._run(lambda key: key.describe())
        return self.info

    def update(
        self,
        *,
        label: str | None = None,
        enabled: bool | None = None,
        usage: int | None = None,
        policy: m.Policy | None = None,
        expected_version: int = 0,
        durability: Durability | None = None,
    ) -> m.KeyInfo:
        """Change the key; None leaves a field as it is."""
        self.info = self._run(
            lambda key: key.update(
                label=label,
                enabled=enabled,
                usage=usage,
                policy=policy,
                expected_version=expected_version,
                durability=durability,
            )
        )
        return self.info

    def disable(self, *, durability: Durability | None = None) -> m.KeyInfo:
        """Let the key serve no more requests until it is enabled."""
        return self.update(enabled=False, durability=durability)

    def enable(self, *, durability: Durability | None = None) -> m.KeyInfo:
        """Let the key serve again; a scheduled destruction is off then."""
        return self.update(enabled=True, durability=durability)

    def destroy(self, *, wait_s: int = 0, durability: Durability | None = None) -> None:
        """Destroy the key for good: at once, or after `wait_s` or the policy's wait, whichever is longer."""
        self._run(lambda key: key.destroy(wait_s=wait_s, durability=durability))
