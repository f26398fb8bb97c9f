"""A certificate, public key or piece of data stored in the cluster, for the blocking client."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from hsm_client import objects
from hsm_client.durabilities import Durability
from hsm_wire import objects as o

if TYPE_CHECKING:
    from hsm_client.sync import Hsm

_T = TypeVar("_T")


class StoredObject:
    """An object in the cluster; see hsm_client.objects.StoredObject."""

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

    def value(self) -> bytes:
        """Read the object: DER for certificates and public keys."""
        return self._run(lambda stored: stored.value())

    def update(
        self,
        *,
        value: bytes | None = None,
        label: str | None = None,
        expected_version: int = 0,
        durability: Durability | None = None,
    ) -> o.ObjectInfo:
        """Change the object; None leaves a field as it is."""
        return self._run(
            lambda stored: stored.update(
                value=value, label=label, expected_version=expected_version, durability=durability
            )
        )

    def destroy(self, *, durability: Durability | None = None) -> None:
        """Destroy the object for good."""
        self._run(lambda stored: stored.destroy(durability=durability))

    def _run(self, work: Callable[[objects.StoredObject], Coroutine[Any, Any, _T]]) -> _T:
        async def run(stored: objects.StoredObject) -> tuple[_T, o.ObjectInfo]:
            return await work(stored), stored.info

        result, self.info = self._hsm.run(lambda hsm: run(objects.StoredObject(hsm, self.info)))
        return result
