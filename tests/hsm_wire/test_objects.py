import msgpack
import pytest

from hsm_wire.errors import BodyError
from hsm_wire.messages import decode_body, encode_body
from hsm_wire.objects import CreateObject, FindObjects, ObjectInfo, ReadObjectResult, UpdateObject

OBJECT_ID = bytes(range(16))


def test_an_object_is_made_with_its_id_kind_and_value() -> None:
    data = msgpack.packb([OBJECT_ID, "certificate", b"der"])
    assert decode_body(CreateObject, data) == CreateObject(OBJECT_ID, "certificate", b"der", "")


def test_an_object_without_a_value_is_refused() -> None:
    with pytest.raises(BodyError):
        decode_body(CreateObject, msgpack.packb([OBJECT_ID, "certificate"]))


def test_info_stands_as_an_array_before_the_value() -> None:
    body = ReadObjectResult(ObjectInfo(OBJECT_ID, "data", "x", 1, 2), b"value")
    assert msgpack.unpackb(encode_body(body)) == [[OBJECT_ID, "data", "x", 1, 2], b"value"]


def test_finding_and_updating_leave_out_what_is_not_asked() -> None:
    assert decode_body(FindObjects, b"\x90") == FindObjects(None, None, b"", 256)
    assert decode_body(UpdateObject, msgpack.packb([OBJECT_ID])) == UpdateObject(OBJECT_ID, 0, None, None)
