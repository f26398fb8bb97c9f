"""A key in the cluster, for asyncio applications."""

from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_client import encodings
from hsm_client.errors import KeyType
from hsm_client.mechanisms import Prepared, find_mechanism, prepare_cipher, prepare_signature
from hsm_wire import messages as m
from hsm_wire.key_types import Family
from hsm_wire.opcodes import Opcode
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status

if TYPE_CHECKING:
    from hsm_client.client import Hsm


class Encrypted(NamedTuple):
    """What `encrypt` gives and `decrypt` takes; GCM's tag stands at the end of the ciphertext."""

    ciphertext: bytes
    iv: bytes


class Key:
    """See the module. `info` is what was known when the key was last read."""

    def __init__(self, hsm: "Hsm", info: m.KeyInfo) -> None:
        self._hsm = hsm
        self.info = info

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

    async def sign(
        self, data: bytes, mechanism: str | int, *, prehashed: bool = False, parameters: Parameters | None = None
    ) -> bytes:
        """Sign (or MAC) data, or its digest; ECDSA signatures are DER."""
        ecdsa = self._is_ecdsa(mechanism)
        choice = self._prepare(mechanism, data, prehashed, parameters)
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
        parameters: Parameters | None = None,
    ) -> None:
        """Check a signature in the cluster.

        Raises:
            BadSignature: it does not verify.
        """
        choice = self._prepare(mechanism, data, prehashed, parameters)
        raw = encodings.ecdsa_raw(signature, self.type) if self._is_ecdsa(mechanism) else signature
        body = m.Verify(self.info.key_id, choice.number, choice.parameters, choice.data, raw)
        await self._hsm.request(Opcode.VERIFY, body, m.Empty)

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
        """Decrypt what `encrypt` gave, or ciphertext and `iv`."""
        if isinstance(data, Encrypted):
            data, iv = data
        choice = prepare_cipher(mechanism, bytes(data), iv=iv, aad=aad, parameters=parameters)
        body = m.Decrypt(self.info.key_id, choice.number, choice.parameters, choice.data)
        return (await self._hsm.request(Opcode.DECRYPT, body, m.DecryptResult)).plaintext

    async def public_key(self) -> PublicKeyTypes:
        """Return the public part as a `cryptography` key.

        Raises:
            KeyType: a secret key has none.
        """
        return load_public_key(self.info)

    async def describe(self) -> m.KeyInfo:
        """Read the key again."""
        self.info = await self._hsm.request(Opcode.DESCRIBE_KEY, m.DescribeKey(self.info.key_id), m.KeyInfo)
        return self.info

    async def update(
        self,
        *,
        label: str | None = None,
        enabled: bool | None = None,
        usage: int | None = None,
        policy: m.Policy | None = None,
        expected_version: int = 0,
    ) -> m.KeyInfo:
        """Change the key; None leaves a field as it is."""
        flags = None if usage is None else int(usage)
        body = m.UpdateKey(self.info.key_id, expected_version, label, enabled, flags, policy)
        self.info = await self._hsm.request(Opcode.UPDATE_KEY, body, m.KeyInfo)
        return self.info

    async def disable(self) -> m.KeyInfo:
        """Let the key serve no more requests until it is enabled."""
        return await self.update(enabled=False)

    async def enable(self) -> m.KeyInfo:
        """Let the key serve again."""
        return await self.update(enabled=True)

    async def destroy(self) -> None:
        """Destroy the key for good."""
        await self._hsm.request(Opcode.DESTROY_KEY, m.DestroyKey(self.info.key_id), m.Empty)

    def _prepare(self, mechanism: str | int, data: bytes, prehashed: bool, parameters: Parameters | None) -> Prepared:
        allowed = self.info.policy.mechanisms
        return prepare_signature(mechanism, bytes(data), prehashed=prehashed, parameters=parameters, allowed=allowed)

    def _is_ecdsa(self, mechanism: str | int) -> bool:
        if find_mechanism(mechanism).families != (Family.EC,):
            return False
        if self.type not in encodings.COORDINATE_BYTES:
            raise KeyType(
                f"{mechanism} is for EC keys, this key is {self.type}; choose another mechanism",
                status=Status.KEY_TYPE,
            )
        return True


def load_public_key(info: m.KeyInfo) -> PublicKeyTypes:
    """Return the public part of a key; raises KeyType for a secret key."""
    if not info.public_key:
        raise KeyType(f"a key of type {info.key_type} has no public part", status=Status.KEY_TYPE)
    return load_der_public_key(info.public_key)
