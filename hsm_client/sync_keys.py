"""A key in the cluster, for the blocking client."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from hsm_client import keys
from hsm_client.keys import Encrypted
from hsm_wire import messages as m
from hsm_wire.parameters import Parameters

if TYPE_CHECKING:
    from hsm_client.sync import Hsm

_T = TypeVar("_T")


class Key:
    """A key in the cluster; see hsm_client.keys.Key."""

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
        """The type by name."""
        return self.info.key_type

    def __repr__(self) -> str:
        return f"<Key {self.id} {self.type} label={self.label!r}>"

    def _run(self, work: Callable[[keys.Key], Coroutine[Any, Any, _T]]) -> _T:
        return self._hsm.run(lambda hsm: work(keys.Key(hsm, self.info)))

    def sign(
        self, data: bytes, mechanism: str | int, *, prehashed: bool = False, parameters: Parameters | None = None
    ) -> bytes:
        """Sign (or MAC) data, or its digest; ECDSA signatures are DER."""
        return self._run(lambda key: key.sign(data, mechanism, prehashed=prehashed, parameters=parameters))

    def verify(
        self,
        data: bytes,
        signature: bytes,
        mechanism: str | int,
        *,
        prehashed: bool = False,
        parameters: Parameters | None = None,
    ) -> None:
        """Check a signature in the cluster; raises BadSignature."""
        self._run(lambda key: key.verify(data, signature, mechanism, prehashed=prehashed, parameters=parameters))

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

    def public_key(self) -> PublicKeyTypes:
        """Return the public part as a `cryptography` key."""
        return keys.load_public_key(self.info)

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
    ) -> m.KeyInfo:
        """Change the key; None leaves a field as it is."""
        self.info = self._run(
            lambda key: key.update(
                label=label, enabled=enabled, usage=usage, policy=policy, expected_version=expected_version
            )
        )
        return self.info

    def disable(self) -> m.KeyInfo:
        """Let the key serve no more requests until it is enabled."""
        return self.update(enabled=False)

    def enable(self) -> m.KeyInfo:
        """Let the key serve again."""
        return self.update(enabled=True)

    def destroy(self) -> None:
        """Destroy the key for good."""
        self._run(lambda key: key.destroy())
