"""A body for each operation that is done when whoever asks may ask: fields by name, each time anew."""

import os
from collections.abc import Callable
from typing import Any, Final

from good_requests import OPCODES, Ask, Good, GoodRequests
from key_materials import material
from msgspec import inspect
from wire_values import form_of, packed

from hsm_wire.key_types import Family
from hsm_wire.mechanisms import MECHANISM_BY_ALIAS
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

_WAYS: Final = {
    Usage.SIGN: ("hmac-sha256", Family.HMAC),
    Usage.VERIFY: ("hmac-sha256", Family.HMAC),
    Usage.ENCRYPT: ("aes-gcm", Family.AES),
    Usage.DECRYPT: ("aes-gcm", Family.AES),
    Usage.WRAP: ("aes-kwp", Family.AES),
    Usage.UNWRAP: ("aes-kwp", Family.AES),
    Usage.DERIVE: ("hkdf", Family.SECRET),
    Usage.ENCAPSULATE: ("ml-kem", Family.ML_KEM),
    Usage.DECAPSULATE: ("ml-kem", Family.ML_KEM),
}
"""The cheapest of each use: about roles, one mechanism is like another."""
NEW_IDS: Final = {
    Opcode.GENERATE_KEY: "key_id",
    Opcode.IMPORT_KEY: "key_id",
    Opcode.ADOPT_KEY: "key_id",
    Opcode.UNWRAP_KEY: "key_id",
    Opcode.CREATE_OBJECT: "object_id",
}
"""The field that names what is made; elsewhere it is `new_key_id`."""
LATER_S: Final = 3600


class OperationBodies:
    """Makes them for somebody in partition 1."""

    def __init__(self, ask: Ask, offered: dict[int, int]) -> None:
        self._ask = ask
        requests = GoodRequests(ask, offered)
        self._uses: dict[Opcode, Good] = {}
        for usage, (alias, family) in _WAYS.items():
            self._uses[OPCODES[usage]] = requests.make(MECHANISM_BY_ALIAS[alias], usage, family)
        self._key = self._new(Opcode.IMPORT_KEY)
        self._doomed = self._new(Opcode.IMPORT_KEY)
        self._object = self._new(Opcode.CREATE_OBJECT)
        self._special: dict[Opcode, Callable[[], dict[str, Any]]] = {
            Opcode.RANDOM: lambda: {"length": 16},
            Opcode.GENERATE_KEY: lambda: {"key_id": os.urandom(16), "key_type": "hmac-256"},
            Opcode.DESCRIBE_KEY: lambda: {"key_id": self._key},
            Opcode.UPDATE_KEY: lambda: {"key_id": self._key, "expected_version": 0, "label": "new"},
            Opcode.DESTROY_KEY: lambda: {"key_id": self._doomed, "wait_s": LATER_S},
            Opcode.ROTATE_KEY: lambda: {"key_id": self._new(Opcode.IMPORT_KEY), "new_key_id": os.urandom(16)},
            Opcode.READ_OBJECT: lambda: {"object_id": self._object},
            Opcode.UPDATE_OBJECT: lambda: {"object_id": self._object, "expected_version": 0, "value": b"new"},
            Opcode.DESTROY_OBJECT: lambda: {"object_id": self._new(Opcode.CREATE_OBJECT)},
            Opcode.SET_NODE_STATE: lambda: {"node": "node-1", "administrative_state": "ready"},
            Opcode.REMOVE_NODE: lambda: {"node": "node-9"},
            Opcode.FIND_KEYS: dict,
            Opcode.FIND_OBJECTS: dict,
        }

    def fields(self, opcode: Opcode) -> dict[str, Any]:
        """Return the fields of a request that is done."""
        if opcode in self._uses:
            return self._uses[opcode].fresh()
        if opcode in self._special:
            return self._special[opcode]()
        return _new(opcode) if self.known(opcode) else smallest(opcode)

    def known(self, opcode: Opcode) -> bool:
        """Say whether the request is really done; else its form alone is right."""
        if opcode is Opcode.ADOPT_KEY:
            return False  # There is no device here.
        return opcode in self._uses or opcode in self._special or opcode in NEW_IDS

    def _new(self, opcode: Opcode) -> bytes:
        """Make a key or an object of its own and return its id."""
        fields = _new(opcode)
        status, body = self._ask(opcode, packed(list(fields.values())))
        assert status == Status.OK, body
        made: bytes = next(iter(fields.values()))
        return made


def new_id(opcode: Opcode) -> str | None:
    """Return the field that names what the operation makes, if it makes something."""
    names = OPERATIONS[opcode].request.__struct_fields__
    return NEW_IDS.get(opcode, "new_key_id" if "new_key_id" in names else None)


def named_ids(opcode: Opcode) -> list[str]:
    """Return the fields that name a key or an object that is there."""
    fields = form_of(OPERATIONS[opcode].request).fields
    ids = [field.name for field in fields if isinstance(field.type, inspect.BytesType) and field.type.min_length == 16]
    return [name for name in ids if name != new_id(opcode)]


def smallest(opcode: Opcode) -> dict[str, Any]:
    """Return the smallest fields of an operation's form."""
    return {field.name: smallest_value(field.type) for field in form_of(OPERATIONS[opcode].request).fields}


def smallest_value(kind: inspect.Type) -> Any:
    """Return a value of that type."""
    if isinstance(kind, inspect.BytesType):
        return os.urandom(kind.min_length or 0)
    if isinstance(kind, inspect.IntType):
        return kind.ge or 0
    if isinstance(kind, inspect.StructType):
        return [smallest_value(field.type) for field in kind.fields]
    simple: dict[type, Any] = {inspect.StrType: "", inspect.BoolType: False, inspect.ListType: []}
    return simple.get(type(kind))


def _new(opcode: Opcode) -> dict[str, Any]:
    """Return the fields of a request for a new key or object that has nothing to do with any other."""
    if opcode is Opcode.CREATE_OBJECT:
        return {"object_id": os.urandom(16), "kind": "data", "value": b"value", "label": ""}
    return {"key_id": os.urandom(16), "key_type": "hmac-256", "material": material("hmac-256")}
