"""Bodies of the object range (0x03xx): certificates, public keys and data stored beside keys.

The numbers and forms are settled; a node that does not offer them answers UNKNOWN_OPERATION.
"""

from hsm_wire.forms import U63, Body, KeyId, Label, Name


class CreateObject(Body, frozen=True):
    """CREATE_OBJECT. `kind` is `certificate`, `public-key` or `data`."""

    object_id: KeyId
    kind: Name
    value: bytes
    label: Label = ""


class ObjectInfo(Body, frozen=True):
    """An object without its value."""

    object_id: KeyId
    kind: Name
    label: Label
    version: U63
    created: U63


class ReadObject(Body, frozen=True):
    """READ_OBJECT."""

    object_id: KeyId


class ReadObjectResult(Body, frozen=True):
    """Answer to READ_OBJECT."""

    info: ObjectInfo
    value: bytes


class FindObjects(Body, frozen=True):
    """FIND_OBJECTS: paged like FIND_KEYS."""

    label: Label | None = None
    kind: Name | None = None
    after: bytes = b""
    limit: U63 = 256


class FindObjectsResult(Body, frozen=True):
    """Answer to FIND_OBJECTS."""

    objects: list[ObjectInfo]


class UpdateObject(Body, frozen=True):
    """UPDATE_OBJECT: nil leaves a field as it is."""

    object_id: KeyId
    expected_version: U63 = 0
    value: bytes | None = None
    label: Label | None = None


class DestroyObject(Body, frozen=True):
    """DESTROY_OBJECT."""

    object_id: KeyId
