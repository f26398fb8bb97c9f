"""Bodies of the object range (0x03xx): certificates, public keys and data stored beside keys.

Objects have ids and labels of their own, apart from those of keys.
"""

from typing import Annotated

import msgspec

from hsm_wire import limits
from hsm_wire.forms import U63, Body, KeyId, Label, Name

Value = Annotated[bytes, msgspec.Meta(max_length=limits.MAX_OBJECT_BYTES)]
CERTIFICATE = "certificate"
PUBLIC_KEY = "public-key"
DATA = "data"
KINDS = (CERTIFICATE, PUBLIC_KEY, DATA)


class CreateObject(Body, frozen=True):
    """CREATE_OBJECT. Sent twice, it answers with the same object."""

    object_id: KeyId
    kind: Name
    """`certificate` (X.509, DER), `public-key` (SubjectPublicKeyInfo, DER) or `data`."""
    value: Value
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
    value: Value


class FindObjects(Body, frozen=True):
    """FIND_OBJECTS: paged like FIND_KEYS."""

    label: Label | None = None
    kind: Name | None = None
    after: Annotated[bytes, msgspec.Meta(max_length=limits.MAX_KEY_ID_BYTES)] = b""
    limit: Annotated[int, msgspec.Meta(ge=1, le=limits.MAX_FIND_LIMIT)] = limits.MAX_FIND_LIMIT


class FindObjectsResult(Body, frozen=True):
    """Answer to FIND_OBJECTS."""

    objects: list[ObjectInfo]


class UpdateObject(Body, frozen=True):
    """UPDATE_OBJECT: nil leaves a field as it is."""

    object_id: KeyId
    expected_version: U63 = 0
    value: Value | None = None
    label: Label | None = None


class DestroyObject(Body, frozen=True):
    """DESTROY_OBJECT."""

    object_id: KeyId
