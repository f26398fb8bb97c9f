"""The asyncio client: one cluster, any number of requests at a time."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import msgspec

from hsm_client.cluster import Cluster
from hsm_client.config import ClientConfig, load_config
from hsm_client.durabilities import Durability
from hsm_client.errors import ClusterError, KeyNotFound, KeyOrDataError
from hsm_client.key_ids import chosen_key_id, maybe_key_id
from hsm_client.keys import Key
from hsm_client.mechanisms import prepare_cipher
from hsm_client.new_keys import NewKey, key_fields
from hsm_client.objects import StoredObject
from hsm_client.versions import newest
from hsm_wire import limits
from hsm_wire import messages as m
from hsm_wire import objects as o
from hsm_wire.opcodes import Opcode
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status


class Hsm(Cluster):
    """The cluster, as an application sees it: what it offers, its keys and its objects."""

    async def info(self) -> m.InfoResult:
        """Return what the cluster offers."""
        return await self.request(Opcode.INFO, m.Empty(), m.InfoResult)

    async def status(self) -> m.StatusResult:
        """Return the cluster as one proxy sees it."""
        return await self.request(Opcode.STATUS, m.Empty(), m.StatusResult)

    async def events(self, after: int = 0, limit: int = limits.DEFAULT_EVENTS_LIMIT) -> m.EventsResult:
        """Return what one proxy has seen happen since the event number `after`, oldest first; of 0: the newest."""
        return await self.request(Opcode.EVENTS, m.Events(after, limit), m.EventsResult)

    async def ping(self) -> float:
        """Return the seconds that a node took to answer through a proxy."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        await self.info()
        return loop.time() - start

    async def random(self, n: int) -> bytes:
        """Return n random bytes of the HSMs."""
        pieces: list[bytes] = []
        while n > 0:
            length = min(n, limits.MAX_RANDOM_BYTES)
            pieces.append((await self.request(Opcode.RANDOM, m.Random(length), m.RandomResult)).data)
            n -= length
        return b"".join(pieces)

    # ---- keys -------------------------------------------------------------------------------------------------

    async def generate_key(self, key_type: str, **new: Unpack[NewKey]) -> Key:
        """Make a key in the cluster; see NewKey for what may be named: label, usage, policy, key_id, durability.

        Its id is chosen here, so that sending twice makes one key.
        """
        fields = key_fields(new)
        body = m.GenerateKey(fields.key_id, key_type, *fields[1:])
        return Key(self, await self._make(Opcode.GENERATE_KEY, body, new))

    async def import_key(self, key_type: str, material: bytes, **new: Unpack[NewKey]) -> Key:
        """Bring a key in: PKCS#8 DER for private keys, the bytes themselves for secret ones; see NewKey for more."""
        fields = key_fields(new)
        body = m.ImportKey(fields.key_id, key_type, material, *fields[1:])
        return Key(self, await self._make(Opcode.IMPORT_KEY, body, new))

    async def adopt_key(self, key_type: str, device_object: str, **new: Unpack[NewKey]) -> Key:
        """Use a key that a node's device has already, under that label; see NewKey for more.

        It is not replicated: it works while that node does, and is lost with its device.
        """
        fields = key_fields(new)
        body = m.AdoptKey(fields.key_id, key_type, device_object, *fields[1:])
        return Key(self, await self._make(Opcode.ADOPT_KEY, body, new))

    async def unwrap_key(
        self,
        wrapped: bytes,
        unwrapping_key: Key,
        mechanism: str | int,
        key_type: str,
        *,
        parameters: Parameters | None = None,
        **new: Unpack[NewKey],
    ) -> Key:
        """Bring a key in that `Key.wrap` or somebody else wrapped; see NewKey for what else may be named.

        Raises:
            BadData: no version of `unwrapping_key` wrapped this.
        """
        choice = prepare_cipher(mechanism, b"", iv=b"", aad=b"", parameters=parameters)
        fields = key_fields(new)

        async def unwrap(version: m.KeyInfo) -> m.KeyInfo:
            body = m.UnwrapKey(
                version.key_id, choice.number, choice.parameters, wrapped,
                fields.key_id, key_type, fields.label, fields.usage, fields.policy,
            )  # fmt: skip
            return await self._make(Opcode.UNWRAP_KEY, body, new)

        # What failed has made nothing, so the new key's id is as good for the next version.
        return Key(self, await unwrapping_key.by_version(choice.number, unwrap))

    async def _make(self, opcode: int, body: msgspec.Struct, new: NewKey) -> m.KeyInfo:
        return await self.request(opcode, body, m.KeyInfo, durability=new.get("durability"))

    async def key(self, id_or_label: str) -> Key:
        """Return the key with that id (32 hex digits) or label; of versions of one key, the newest.

        Raises:
            KeyNotFound: there is none.
            KeyOrDataError: several keys have the label and are not versions of one; its text lists their ids.
        """
        key_id = maybe_key_id(id_or_label)
        if key_id is not None:
            return Key(self, await self.request(Opcode.DESCRIBE_KEY, m.DescribeKey(key_id), m.KeyInfo))
        found = await self.find_keys(label=id_or_label)
        if not found:
            raise KeyNotFound(
                f"no key has the id or label {id_or_label!r}; `hsmctl key list` shows all", status=Status.KEY_NOT_FOUND
            )
        if len(found) == 1:
            return found[0]
        info = newest([key.info for key in found])
        if info is None:
            raise _ambiguous("keys", id_or_label, [key.id for key in found])
        return Key(self, info)

    async def find_keys(self, label: str | None = None, key_type: str | None = None) -> list[Key]:
        """Return all keys with that label and type, in the order of their ids."""
        found: list[Key] = []
        after = b""
        while True:
            body = m.FindKeys(label, key_type, after)
            page = (await self.request(Opcode.FIND_KEYS, body, m.FindKeysResult)).keys
            found += [Key(self, info) for info in page]
            if len(page) < body.limit:
                return found
            after = page[-1].key_id

    # ---- objects ----------------------------------------------------------------------------------------------

    async def create_object(
        self,
        kind: str,
        value: bytes,
        *,
        label: str = "",
        object_id: str | bytes | None = None,
        durability: Durability | None = None,
    ) -> StoredObject:
        """Store a `certificate` (X.509, DER), a `public-key` (SubjectPublicKeyInfo, DER) or `data`."""
        body = o.CreateObject(chosen_key_id(object_id), kind, value, label)
        made = await self.request(Opcode.CREATE_OBJECT, body, o.ObjectInfo, durability=durability)
        return StoredObject(self, made)

    async def object(self, id_or_label: str) -> StoredObject:
        """Return the object with that id (32 hex digits) or label.

        Raises:
            KeyNotFound: there is none.
            KeyOrDataError: several objects have the label; its text lists their ids.
        """
        object_id = maybe_key_id(id_or_label)
        if object_id is not None:
            read = await self.request(Opcode.READ_OBJECT, o.ReadObject(object_id), o.ReadObjectResult)
            return StoredObject(self, read.info)
        found = await self.find_objects(label=id_or_label)
        if not found:
            raise KeyNotFound(
                f"no object has the id or label {id_or_label!r}; `hsmctl object list` shows all",
                status=Status.KEY_NOT_FOUND,
            )
        if len(found) > 1:
            raise _ambiguous("objects", id_or_label, [each.id for each in found])
        return found[0]

    async def find_objects(self, label: str | None = None, kind: str | None = None) -> list[StoredObject]:
        """Return all objects with that label and kind, in the order of their ids."""
        found: list[StoredObject] = []
        after = b""
        while True:
            body = o.FindObjects(label, kind, after)
            page = (await self.request(Opcode.FIND_OBJECTS, body, o.FindObjectsResult)).objects
            found += [StoredObject(self, info) for info in page]
            if len(page) < body.limit:
                return found
            after = page[-1].object_id


def _ambiguous(things: str, label: str, ids: list[str]) -> KeyOrDataError:
    return KeyOrDataError(
        f"{len(ids)} {things} have the label {label!r}; name one by id: {', '.join(ids)}", status=Status.BAD_DATA
    )


def connect(
    config: str | Path | ClientConfig | None = None,
    *,
    proxies: Sequence[str] | str | None = None,
    timeout_s: float | None = None,
    retry: bool = True,
    pool_size: int = 2,
) -> Hsm:
    """Return a client, to be used as `async with connect(...) as hsm`.

    `timeout_s` holds for every operation; without it each has 10 s, making a key 60 s.

    Raises:
        ConfigurationError: client.toml or a file that it names is wrong.
    """
    return Hsm(load_config(config, proxies), timeout_s=timeout_s, retry=retry, pool_size=pool_size)


__all__ = ["ClusterError", "Hsm", "connect"]
