"""A certificate, public key or piece of data stored in the cluster, for asyncio applications."""

from typing import TYPE_CHECKING

from hsm_client.durabilities import Durability
from hsm_wire import messages as m
from hsm_wire import objects as o
from hsm_wire.opcodes import Opcode

if TYPE_CHECKING:
    from hsm_client.client import Hsm


class StoredObject:
    """See the module. `info` is what was known when the object was last read."""

    def __init__(self, hsm: "Hsm", info: o.ObjectInfo) -> None:
        self._hsm = hsm
        self.info = info

    @property
    def id(self) -> str:
        """The id: 32 hex digits."""
        return self.info.object_id.hex()

    @property
    def label(self) -> str:
        """The label."""
        return self.info.label

    @property
    def kind(self) -> str:
        """`certificate`, `public-key` or `data`."""
        return self.info.kind

    def __repr__(self) -> str:
        return f"<StoredObject {self.id} {self.kind} label={self.label!r}>"

    async def value(self) -> bytes:
        """Read the object: DER for certificates and public keys."""
        read = await self._hsm.request(Opcode.READ_OBJECT, o.ReadObject(self.info.object_id), o.ReadObjectResult)
        self.info = read.info
        return read.value

    async def update(
        self,
        *,
        value: bytes | None = None,
        label: str | None = None,
        expected_version: int = 0,
        durability: Durability | None = None,
    ) -> o.ObjectInfo:
        """Change the object; None leaves a field as it is, `expected_version` 0 means whatever it is."""
        body = o.UpdateObject(self.info.object_id, expected_version, value, label)
        self.info = await self._hsm.request(Opcode.UPDATE_OBJECT, body, o.ObjectInfo, durability=durability)
        return self.info

    async def destroy(self, *, durability: Durability | None = None) -> None:
        """Destroy the object for good."""
        body = o.DestroyObject(self.info.object_id)
        await self._hsm.request(Opcode.DESTROY_OBJECT, body, m.Empty, durability=durability)
