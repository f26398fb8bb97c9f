"""A key in the cluster, for asyncio applications.

What a rotated key's earlier versions signed, encrypted or wrapped is verified and opened by them, as long as the
mechanism itself notices a wrong key (see `versions`).
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar, Unpack

import msgspec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from hsm_client import encodings
from hsm_client.derivations import PeerPublicKey, ecdh_parameters, hkdf_parameters
from hsm_client.durabilities import Durability
from hsm_client.errors import KeyType
from hsm_client.key_ids import chosen_key_id
from hsm_client.mechanisms import Prepared, encode_parameters, find_mechanism, prepare_cipher, prepare_signature
from hsm_client.new_keys import NewKey, key_fields
from hsm_client.versions import SELF_CHECKING, Versions
from hsm_wire import mechanisms as mech
from hsm_wire import messages as m
from hsm_wire.key_types import Family
from hsm_wire.opcodes import Opcode
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status

if TYPE_CHECKING:
    from hsm_client.client import Hsm

_T = TypeVar("_T")


class Encrypted(NamedTuple):
    """What `encrypt` gives and `decrypt` takes; GCM's tag stands at the end of the ciphertext."""

    ciphertext: bytes
    iv: bytes


class Encapsulated(NamedTuple):
    """A new secret key, and what the holder of the private key needs to make it too."""

    ciphertext: bytes
    key: "Key"


class Key:
    """See the module. `info` is what was known when the key was last read."""

    def __init__(self, hsm: "Hsm", info: m.KeyInfo, versions: Versions | None = None) -> None:
        self._hsm = hsm
        self.info = info
        self._versions = versions or Versions()

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
        """The type by name, `ec-p256` for example."""
        return self.info.key_type

    def __repr__(self) -> str:
        return f"<Key {self.id} {self.type} label={self.label!r}>"

    # ---- signatures and ciphertexts ---------------------------------------------------------------------------

    async def sign(
        self,
        data: bytes,
        mechanism: str | int,
        *,
        prehashed: bool = False,
        context: bytes = b"",
        parameters: Parameters | None = None,
    ) -> bytes:
        """Sign (or MAC) data, or its digest; ECDSA signatures are DER. `context` is ML-DSA's (FIPS 204)."""
        ecdsa = self._is_ecdsa(mechanism)
        choice = _prepare(self.info, mechanism, data, prehashed, parameters, context)
        body = m.Sign(self.info.key_id, choice.number, choice.parameters, choice.data)
        signature = (await self._hsm.request(Opcode.SIGN, body, m.SignResult)).signature
        return encodings.ecdsa_der(signature) if ecdsa else signature

    async def verify(
        self,
        data: bytes,
        signature: bytes,
        mechanism: str | int,
        *,
        prehashed: bool = False,
        context: bytes = b"",
        parameters: Parameters | None = None,
    ) -> None:
        """Check a signature in the cluster, with the earlier versions of the key too.

        Raises:
            BadSignature: it does not verify.
        """
        raw = encodings.ecdsa_raw(signature, self.type) if self._is_ecdsa(mechanism) else signature

        async def check(version: m.KeyInfo) -> m.Empty:
            choice = _prepare(version, mechanism, data, prehashed, parameters, context)
            body = m.Verify(version.key_id, choice.number, choice.parameters, choice.data, raw)
            return await self._hsm.request(Opcode.VERIFY, body, m.Empty)

        await self._versions.first_good(self.info, self._described, check)

    async def encrypt(
        self,
        data: bytes,
        mechanism: str | int = "aes-gcm",
        aad: bytes = b"",
        *,
        iv: bytes = b"",
        parameters: Parameters | None = None,
    ) -> Encrypted:
        """Encrypt; the HSM chooses the nonce unless the key's policy lets the caller."""
        choice = prepare_cipher(mechanism, bytes(data), iv=iv, aad=aad, parameters=parameters)
        body = m.Encrypt(self.info.key_id, choice.number, choice.parameters, choice.data)
        result = await self._hsm.request(Opcode.ENCRYPT, body, m.EncryptResult)
        return Encrypted(result.ciphertext, result.iv)

    async def decrypt(
        self,
        data: bytes | Encrypted,
        mechanism: str | int = "aes-gcm",
        aad: bytes = b"",
        *,
        iv: bytes = b"",
        parameters: Parameters | None = None,
    ) -> bytes:
        """Decrypt what `encrypt` gave, or ciphertext and `iv`.

        Earlier versions of the key are tried with AES-GCM and RSA-OAEP only: the other mechanisms do not notice a
        wrong key, so for them take the version that encrypted, by its id.
        """
        if isinstance(data, Encrypted):
            data, iv = data
        choice = prepare_cipher(mechanism, bytes(data), iv=iv, aad=aad, parameters=parameters)

        async def opened(version: m.KeyInfo) -> m.DecryptResult:
            body = m.Decrypt(version.key_id, choice.number, choice.parameters, choice.data)
            return await self._hsm.request(Opcode.DECRYPT, body, m.DecryptResult)

        return (await self.by_version(choice.number, opened)).plaintext

    async def by_version(self, mechanism: int, attempt: Callable[[m.KeyInfo], Awaitable[_T]]) -> _T:
        """Open something with this key or, where the mechanism notices a wrong key, with an earlier version of it."""
        if mechanism not in SELF_CHECKING:
            return await attempt(self.info)
        return await self._versions.first_good(self.info, self._described, attempt)

    # ---- keys out of keys -------------------------------------------------------------------------------------

    async def wrap(
        self, target: "Key", mechanism: str | int = "aes-kwp", *, parameters: Parameters | None = None
    ) -> bytes:
        """Return the material of `target`, which must be exportable, encrypted by this key."""
        choice = prepare_cipher(mechanism, b"", iv=b"", aad=b"", parameters=parameters)
        body = m.WrapKey(self.info.key_id, choice.number, choice.parameters, target.info.key_id)
        return (await self._hsm.request(Opcode.WRAP_KEY, body, m.WrapKeyResult)).wrapped

    async def derive(
        self, mechanism: str | int, key_type: str, *, parameters: Parameters | None = None, **new: Unpack[NewKey]
    ) -> "Key":
        """Make a key from this one; see NewKey for what else may be named."""
        row, fields = find_mechanism(mechanism), key_fields(new)
        body = m.Derive(
            self.info.key_id, row.number, encode_parameters(parameters), fields.key_id, key_type, *fields[1:]
        )
        return await self._make(Opcode.DERIVE, body, new.get("durability"))

    async def ecdh(
        self,
        peer_public_key: PeerPublicKey,
        key_type: str = "aes-256",
        *,
        kdf_hash: str = "sha256",
        info: bytes = b"",
        salt: bytes = b"",
        **new: Unpack[NewKey],
    ) -> "Key":
        """Agree on a key with the holder of another EC or X25519 key: HKDF of the shared secret, which stays inside."""
        parameters = ecdh_parameters(peer_public_key, kdf_hash, info, salt)
        return await self.derive(mech.CKM_ECDH1_DERIVE, key_type, parameters=parameters, **new)

    async def hkdf(
        self,
        key_type: str,
        *,
        hash: str = "sha256",  # noqa: A002 - the name that RFC 5869 gives it
        salt: bytes = b"",
        info: bytes = b"",
        **new: Unpack[NewKey],
    ) -> "Key":
        """Derive a key by HKDF (RFC 5869)."""
        return await self.derive(mech.CKM_HKDF_DERIVE, key_type, parameters=hkdf_parameters(hash, salt, info), **new)

    async def encapsulate(self, key_type: str = "secret-256", **new: Unpack[NewKey]) -> Encapsulated:
        """Make a secret key that only the holder of this ML-KEM key's private part can make too."""
        fields = key_fields(new)
        body = m.Encapsulate(
            self.info.key_id, mech.CKM_ML_KEM, m.NIL_PARAMETERS, fields.key_id, key_type, *fields[1:]
        )  # fmt: skip
        durability = new.get("durability")
        made = await self._hsm.request(Opcode.ENCAPSULATE, body, m.EncapsulateResult, durability=durability)
        return Encapsulated(made.ciphertext, Key(self._hsm, made.key))

    async def decapsulate(self, ciphertext: bytes, key_type: str = "secret-256", **new: Unpack[NewKey]) -> "Key":
        """Make the secret key that belongs to a ciphertext of `encapsulate`.

        A wrong ciphertext, or one for another version of the key, gives another key, not an error (FIPS 203).
        """
        fields = key_fields(new)
        body = m.Decapsulate(
            self.info.key_id, mech.CKM_ML_KEM, m.NIL_PARAMETERS, ciphertext, fields.key_id, key_type, *fields[1:]
        )
        return await self._make(Opcode.DECAPSULATE, body, new.get("durability"))

    async def rotate(self, *, key_id: str | bytes | None = None, durability: Durability | None = None) -> "Key":
        """Make the next version of the key and return it; this one only verifies, decrypts and unwraps from then on.

        Whoever holds this one asks for the key by its label again: a signature by another key is not made unasked.
        """
        return await self._make(Opcode.ROTATE_KEY, m.RotateKey(self.info.key_id, chosen_key_id(key_id)), durability)

    async def _make(self, opcode: int, body: msgspec.Struct, durability: Durability | None) -> "Key":
        return Key(self._hsm, await self._hsm.request(opcode, body, m.KeyInfo, durability=durability))

    # ---- the key itself ---------------------------------------------------------------------------------------

    async def public_key(self) -> PublicKeyTypes:
        """Return the public part as a `cryptography` key.

        Raises:
            KeyType: a secret key has none.
        """
        return encodings.load_public_key(self.info)

    async def describe(self) -> m.KeyInfo:
        """Read the key again."""
        self.info = await self._described(self.info.key_id)
        return self.info

    async def _described(self, key_id: bytes) -> m.KeyInfo:
        return await self._hsm.request(Opcode.DESCRIBE_KEY, m.DescribeKey(key_id), m.KeyInfo)

    async def update(
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
        flags = None if usage is None else int(usage)
        body = m.UpdateKey(self.info.key_id, expected_version, label, enabled, flags, policy)
        self.info = await self._hsm.request(Opcode.UPDATE_KEY, body, m.KeyInfo, durability=durability)
        return self.info

    async def disable(self, *, durability: Durability | None = None) -> m.KeyInfo:
        """Let the key serve no more requests until it is enabled."""
        return await self.update(enabled=False, durability=durability)

    async def enable(self, *, durability: Durability | None = None) -> m.KeyInfo:
        """Let the key serve again; a scheduled destruction is off then."""
        return await self.update(enabled=True, durability=durability)

    async def destroy(self, *, wait_s: int = 0, durability: Durability | None = None) -> None:
        """Destroy the key for good: at once, or after `wait_s` or the policy's wait, whichever is longer.

        Until then it is disabled, and `enable` revokes the destruction.
        """
        body = m.DestroyKey(self.info.key_id, wait_s)
        await self._hsm.request(Opcode.DESTROY_KEY, body, m.Empty, durability=durability)

    def _is_ecdsa(self, mechanism: str | int) -> bool:
        if find_mechanism(mechanism).families != (Family.EC,):
            return False
        if self.type not in encodings.COORDINATE_BYTES:
            raise KeyType(
                f"{mechanism} is for EC keys, this key is {self.type}; choose another mechanism",
                status=Status.KEY_TYPE,
            )
        return True


def _prepare(
    info: m.KeyInfo, mechanism: str | int, data: bytes, prehashed: bool, parameters: Parameters | None, context: bytes
) -> Prepared:
    return prepare_signature(
        mechanism,
        bytes(data),
        prehashed=prehashed,
        parameters=parameters,
        context=context,
        allowed=info.policy.mechanisms,
    )
