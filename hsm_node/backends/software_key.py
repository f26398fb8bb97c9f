"""A key of the software back end: what a device does inside itself is done here on other keys' material."""

from hsm_node.backends.base import LoadedKey, not_here
from hsm_wire.parameters import Parameters


class SoftwareKey(LoadedKey):
    """A key that can work on material. A family overrides what it does; the rest is refused."""

    __slots__ = ()

    def wrap(self, mechanism: int, _parameters: Parameters | None, _material: bytes) -> bytes:
        """Return the material under this key."""
        raise not_here(mechanism)

    def unwrap(self, mechanism: int, _parameters: Parameters | None, _wrapped: bytes) -> bytes:
        """Return the material that was wrapped."""
        raise not_here(mechanism)

    def derive(self, mechanism: int, _parameters: Parameters | None, _length: int) -> bytes:
        """Return that many bytes of new key material."""
        raise not_here(mechanism)

    def encapsulate(self, mechanism: int) -> tuple[bytes, bytes]:
        """Return (ciphertext, secret)."""
        raise not_here(mechanism)

    def decapsulate(self, mechanism: int, _ciphertext: bytes) -> bytes:
        """Return the secret of a ciphertext."""
        raise not_here(mechanism)
