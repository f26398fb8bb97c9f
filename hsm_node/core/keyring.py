"""The keys that a node holds: those of its master keys, and those of the store.

Theory. What a master key protects can be protected by its successor: material is wrapped again, records are sealed
again, one by one, while the node holds both. What gives names cannot: with another naming key every row would have
another name, and with another digest key no request would find itself. So the naming key and the digest key belong
to the store. They are made with it, kept in it wrapped under the master key, and never change.

A master key is 32 bytes in this process (`DerivedKeys`), or lies in a device that gives nothing of it out but its
attribute key (see `MasterKey`). What only the first can do, material in and out, only the software back end asks for.
"""

import hmac
import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from hsm_node.core.attribute_key import IV_BYTES, KEY_BYTES, AttributeKey, derive
from hsm_node.core.der import trimmed
from hsm_node.core.derived_keys import DerivedKeys

MASTER_KEY_BYTES: Final = KEY_BYTES
MASTER_KEY_VERSION: Final = 1
"""Of a master key that was never rotated."""
MAX_MASTER_KEYS: Final = 2
"""The one that is leaving and the one that follows it: a rotation ends before the next begins."""
CHANGE_MARK_BYTES: Final = 16
"""Of the digest that recognises a re-sent change: collisions among 8 marks do not matter at 128 bits."""


class KeyringError(Exception):
    """Wrapped material that this keyring cannot open."""


class MasterKey(Protocol):
    """What a node needs of a master key, wherever it is."""

    @property
    def fingerprint(self) -> bytes:
        """Tells master keys apart; it says nothing of the key."""

    @property
    def attributes(self) -> AttributeKey:
        """What hides what records say."""

    def mac(self, message: bytes) -> bytes:
        """Return the MAC of a record or of the store's check record.

        Raises:
            Refusal: its device does not answer; nothing is known of the record then.
        """

    def expect(self, messages: Sequence[bytes]) -> None:
        """Have the MACs of these at hand when they are asked for next; in a thread, or before the loop serves.

        Raises:
            Refusal: as for `mac`.
        """

    def unwrap_store_key(self, wrapped: bytes) -> bytes:
        """Return a key of the store.

        Raises:
            InvalidUnwrap, ValueError: it was not wrapped by this key.
        """


class Keyring:
    """Wraps key material, encrypts and authenticates records, gives names. Nothing gives its keys out."""

    __slots__ = ("_chance", "_digest_key", "_held", "_ledger_key", "_naming_key", "_told_key", "version")

    def __init__(
        self,
        master_key: bytes | MasterKey,
        version: int = MASTER_KEY_VERSION,
        *,
        chance: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Hold one master key. The store's keys are those that stores of schema 1 derived from it, until `open_store`;
        for one in a device, which no such store has, they are at random.

        Args:
            master_key: 32 bytes, or what stands for them.
            version: counts rotations, from 1. The store knows better: see `renumber`.
            chance: makes that many random bytes.
        """
        self._held: dict[int, MasterKey] = {version: _at_hand(master_key)}
        # Replaced, never changed: threads unwrap and compare MACs meanwhile.
        self._chance = chance
        self.version = version
        """Of the master key that new records are sealed and wrapped under."""
        if isinstance(master_key, bytes):
            self._use_store_keys(derive(master_key, b"store names"), derive(master_key, b"request digests"))
        else:
            self.make_store_keys()

    def __repr__(self) -> str:
        return "Keyring(<secret>)"

    # Master keys

    @property
    def versions(self) -> list[int]:
        """Of the master keys that are held; each opens what was sealed under it."""
        return sorted(self._held)

    @property
    def several(self) -> bool:
        """Whether more than one master key is held: a rotation is prepared, under way or just over."""
        return len(self._held) > 1

    @property
    def fingerprints(self) -> tuple[bytes, ...]:
        """What tells each master key that is held apart, the oldest first."""
        return tuple(self._held[version].fingerprint for version in self.versions)

    def fingerprint(self, version: int | None = None) -> bytes:
        """Return what tells a master key apart; None: the one in use."""
        return self._keys(self.version if version is None else version).fingerprint

    def hold(self, master_key: bytes | MasterKey, version: int) -> None:
        """Hold one more, for opening; `use` makes it the one for new records."""
        if version in self._held or len(self._held) == MAX_MASTER_KEYS:
            raise ValueError(f"a keyring holds at most {MAX_MASTER_KEYS} master keys, each of another version")
        self._held = {**self._held, version: _at_hand(master_key)}

    def use(self, version: int) -> None:
        """Seal and wrap under that master key from now on."""
        self._keys(version)
        self.version = version

    def drop(self, version: int) -> None:
        """Forget a master key that nothing is sealed under any more."""
        if version == self.version:
            raise ValueError("the master key that is in use cannot be dropped")
        self._held = {held: keys for held, keys in self._held.items() if held != version}

    def renumber(self, version: int, right: int) -> None:
        """Correct all versions by what the store says of one: a key's file does not know how often it was rotated.

        Raises:
            KeyringError: another one would come before the first.
        """
        difference = right - version
        if min(self._held) + difference < MASTER_KEY_VERSION:
            raise KeyringError(f"the master key of version {right} cannot have a predecessor")
        self._held = {held + difference: keys for held, keys in self._held.items()}
        self.version += difference

    def wrap(self, material: bytes, version: int | None = None) -> bytes:
        """Return RFC5649(KEK, material) under that master key; None: the one in use."""
        return self._derived(self.version if version is None else version).wrap(material)

    def unwrap(self, wrapped: bytes, true_length: int, version: int | None = None) -> bytes:
        """Return the material. The record's MAC has been checked before.

        Args:
            wrapped: what `wrap` made.
            true_length: that the record states; 0: that of the material's own DER.
            version: of the master key that the record names; None: whichever opens it.

        Raises:
            KeyringError: it was not wrapped by this key, or is not of the length that the record states.
        """
        candidates = list(self._held) if version is None else [version]
        for number in candidates[:-1]:
            try:
                return self._unwrapped(wrapped, true_length, number)
            except KeyringError:
                continue
        return self._unwrapped(wrapped, true_length, candidates[-1])

    def rewrap(self, wrapped: bytes, true_length: int) -> bytes:
        """Return material that another master key has wrapped, wrapped under the one in use.

        Raises:
            KeyringError: it does not open.
        """
        return self.wrap(self.unwrap(wrapped, true_length))

    def mac(self, message: bytes, version: int | None = None) -> bytes:
        """Return the MAC of a record or of the store's check record under that master key; None: the one in use."""
        return self._keys(self.version if version is None else version).mac(message)

    def mac_version(self, message: bytes, mac: bytes) -> int:
        """Return the version of the master key under which the MAC is right; 0 where it is under none."""
        for version, keys in self._held.items():
            if hmac.compare_digest(keys.mac(message), mac):
                return version
        return 0

    def mac_matches(self, message: bytes, mac: bytes) -> bool:
        """Whether the MAC is right under any master key that is held."""
        return self.mac_version(message, mac) != 0

    @property
    def remote(self) -> bool:
        """Whether a MAC may take longer than a look into memory: a master key is in a device."""
        return not all(isinstance(keys, DerivedKeys) for keys in self._held.values())

    def expect(self, messages: Sequence[bytes]) -> None:
        """Have the MACs of these at hand when they are asked for next; in a thread, or before the loop serves.

        Raises:
            Refusal: a device does not answer.
        """
        for keys in self._held.values():
            keys.expect(messages)

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return a record's attributes as nobody can read them. The MAC goes over what is returned."""
        return self._held[self.version].attributes.encrypt(plaintext, self._chance(IV_BYTES))

    def decrypt(self, body: bytes, version: int) -> bytes:
        """Return the attributes of a record whose MAC was right under that master key."""
        return self._keys(version).attributes.decrypt(body)

    def version_of(self, fingerprint: bytes) -> int:
        """Return the version of the master key that has that fingerprint; 0 where it is not held."""
        return next((version for version, keys in self._held.items() if keys.fingerprint == fingerprint), 0)

    # Keys of the store

    def of_store(self, naming: bytes, digest: bytes, version: int) -> "Keyring":
        """Return a ring with the master keys that are held now and the keys of another store, as `open_store` takes it.

        Raises:
            KeyringError: they do not open.
        """
        other = Keyring.__new__(Keyring)
        other._held, other._chance, other.version = self._held, self._chance, self.version
        other.open_store(naming, digest, version)
        return other

    def make_store_keys(self) -> None:
        """Make the keys of a new store."""
        self._use_store_keys(self._chance(KEY_BYTES), self._chance(KEY_BYTES))

    def wrapped_store_keys(self, version: int | None = None) -> tuple[bytes, bytes]:
        """Return the store's naming key and digest key, each wrapped under that master key; None: the one in use."""
        attributes = self._keys(self.version if version is None else version).attributes
        return attributes.wrap_store_key(self._naming_key), attributes.wrap_store_key(self._digest_key)

    def open_store(self, naming: bytes, digest: bytes, version: int) -> None:
        """Use the keys of an existing store, which are wrapped under that master key.

        Raises:
            KeyringError: they do not open.
        """
        keys = self._keys(version)
        try:
            opened = keys.unwrap_store_key(naming), keys.unwrap_store_key(digest)
        except (InvalidUnwrap, ValueError):
            raise KeyringError("the store's keys do not open under this master key") from None
        if {len(key) for key in opened} != {KEY_BYTES}:
            raise KeyringError(f"the store's keys have not {KEY_BYTES} bytes")
        self._use_store_keys(*opened)

    def name(self, partition: int, key_id: bytes) -> bytes:
        """Return the store's name of a key: it means nothing without the naming key."""
        return hmac.digest(self._naming_key, partition.to_bytes(4, "big") + key_id, "sha256")

    def master_keys_name(self, node: str) -> bytes:
        """Return the store's name of what a node says of the master keys that it holds."""
        return hmac.digest(self._naming_key, b"redoubt master keys of node " + node.encode(), "sha256")

    def offers_name(self, node: str) -> bytes:
        """Return the store's name of what a node says that it can do."""
        return hmac.digest(self._naming_key, b"redoubt offers of node " + node.encode(), "sha256")

    def node_name(self, node: str) -> bytes:
        """Return the store's name of a node's administrative state: no key's name, they have another length."""
        return hmac.digest(self._naming_key, b"redoubt administrative state of node " + node.encode(), "sha256")

    def object_name(self, partition: int, object_id: bytes) -> bytes:
        """Return the store's name of an object: what is hashed is longer than for a key, so it is no key's name."""
        message = b"redoubt object " + partition.to_bytes(4, "big") + object_id
        return hmac.digest(self._naming_key, message, "sha256")

    def request_digest(self, partition: int, opcode: int, body: bytes) -> bytes:
        """Return the keyed digest of a creating request. Keyed, because an import's body is a secret."""
        prefix = b"create" + partition.to_bytes(4, "big") + opcode.to_bytes(2, "big")
        return hmac.digest(self._digest_key, prefix + body, "sha256")

    def change_mark(self, operation_id: int, opcode: int, body: bytes) -> bytes:
        """Return what a record keeps of a change, so that the same one sent again finds itself.

        The body is part of it: a caller who uses an operation id for two changes gets both, not one.
        """
        prefix = b"change" + operation_id.to_bytes(8, "big") + opcode.to_bytes(2, "big")
        return hmac.digest(self._digest_key, prefix + body, "sha256")[:CHANGE_MARK_BYTES]

    def ledger_mac(self, message: bytes) -> bytes:
        """Return the MAC of what a node has seen: the same on every node of the cluster, whatever its master key."""
        return hmac.digest(self._ledger_key, message, "sha256")

    def told_mac(self, message: bytes) -> bytes:
        """Return the MAC of what nodes tell each other in the store: the same on every node of the cluster."""
        return hmac.digest(self._told_key, message, "sha256")

    def _use_store_keys(self, naming_key: bytes, digest_key: bytes) -> None:
        self._naming_key = naming_key
        self._digest_key = digest_key
        self._ledger_key = derive(naming_key, b"ledger")
        self._told_key = derive(naming_key, b"told")

    def _derived(self, version: int) -> DerivedKeys:
        keys = self._keys(version)
        if not isinstance(keys, DerivedKeys):
            raise KeyringError("the master key is in a device, which alone can wrap and unwrap with it")
        return keys

    def _keys(self, version: int) -> MasterKey:
        keys = self._held.get(version)
        if keys is None:
            raise KeyringError(f"master key version {version} is not held by this node")
        return keys

    def _unwrapped(self, wrapped: bytes, true_length: int, version: int) -> bytes:
        try:
            material = self._derived(version).unwrap(wrapped)
            material = material if true_length else trimmed(material)
        except (InvalidUnwrap, ValueError):
            raise KeyringError("the wrapped material does not open under this master key") from None
        if true_length and len(material) != true_length:
            raise KeyringError("the wrapped material is not of the stated length")
        return material


def _at_hand(master_key: bytes | MasterKey) -> MasterKey:
    return DerivedKeys(master_key) if isinstance(master_key, bytes) else master_key
