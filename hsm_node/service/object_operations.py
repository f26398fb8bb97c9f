"""CREATE, READ, FIND, UPDATE, DESTROY: objects. All of it is cheap, and runs on the loop."""

from functools import partial

from hsm_node.core.authorize import live_record
from hsm_node.core.object_lifecycle import check_new_object, destroyed_object, new_object, updated_object
from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.object_shares import ObjectShares
from hsm_node.core.object_table import ObjectTable, size_of
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.later import answer_later
from hsm_node.service.record_rows import RecordRows
from hsm_node.service.request import Request
from hsm_node.service.row_writer import RowWriter
from hsm_wire.messages import EMPTY_BODY, encode_body
from hsm_wire.objects import (
    CreateObject,
    DestroyObject,
    FindObjects,
    FindObjectsResult,
    ReadObject,
    ReadObjectResult,
    UpdateObject,
)
from hsm_wire.statuses import Status


class ObjectOperations:
    """Handlers."""

    def __init__(
        self,
        table: ObjectTable,
        rows: RecordRows[ObjectRecord],
        follower: Follower,
        writer: RowWriter[ObjectRecord],
        failures: Failures,
        *,
        partition_bytes: int,
    ) -> None:
        """Serve objects; `partition_bytes`: that those of one partition may take of the node's memory."""
        self._table = table
        self._rows = rows
        self._follower = follower
        self._writer = writer
        self._failures = failures
        self._shares = ObjectShares(table, partition_bytes)

    def create(self, request: Request, body: CreateObject) -> bytes | None:
        """CREATE_OBJECT."""
        check_new_object(body)
        digest = self._writer.digest(request, body)
        record = new_object(body, self._writer.origin(request), digest)
        size = size_of(record)

        async def make() -> ObjectRecord:
            self._shares.check(record, None, size)
            return record

        async def work() -> tuple[Status, bytes]:
            with self._shares.on_the_way(record.partition, size):
                entry = await self._writer.made(request, body.object_id, digest, make)
            return await self._writer.kept(request, entry, lambda made: made.encoded_info)

        return answer_later(request, work(), self._failures)

    def read(self, request: Request, body: ReadObject) -> bytes | None:
        """READ_OBJECT."""
        record = live_record(
            self._follower.find(self._rows, request.principal.partition, body.object_id), self._rows.noun
        )
        return encode_body(ReadObjectResult(record.info, record.value))

    def find(self, request: Request, body: FindObjects) -> bytes | None:
        """FIND_OBJECTS."""
        found = self._table.find(request.principal.partition, body.label, body.kind, body.after, body.limit)
        return encode_body(FindObjectsResult(found))

    def update(self, request: Request, body: UpdateObject) -> bytes | None:
        """UPDATE_OBJECT."""
        size = len(body.value or b"")

        def change(record: ObjectRecord, mark: bytes) -> ObjectRecord:
            after = updated_object(record, body, mark)
            self._shares.check(after, record, size)
            return after

        async def work() -> tuple[Status, bytes]:
            with self._shares.on_the_way(request.principal.partition, size):
                entry = await self._writer.change(request, body.object_id, body, change)
            return await self._writer.confirmed(request, entry, partial(self._writer.info_of, entry))

        return answer_later(request, work(), self._failures)

    def destroy(self, request: Request, body: DestroyObject) -> bytes | None:
        """DESTROY_OBJECT."""

        async def work() -> tuple[Status, bytes]:
            entry = await self._writer.change(request, body.object_id, body, destroyed_object)
            return await self._writer.confirmed(request, entry, lambda: EMPTY_BODY)

        return answer_later(request, work(), self._failures)
