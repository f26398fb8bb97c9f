import msgpack

from hsm_wire import limits
from hsm_wire.forms import EMPTY_BODY, decode_body, encode_body
from hsm_wire.key_messages import FindKeys, GenerateKey, ImportKey, KeyInfo, Policy

KEY_ID = bytes(range(16))


def test_defaults_are_those_of_the_protocol() -> None:
    body = decode_body(GenerateKey, msgpack.packb([KEY_ID, "ec-p256"]))
    assert (body.label, body.usage, body.policy) == ("", 0, Policy(0, [], 0, 0, 0))
    assert decode_body(FindKeys, EMPTY_BODY) == FindKeys(None, None, b"", limits.MAX_FIND_LIMIT)


def test_repr_of_an_import_names_the_key_and_not_its_material() -> None:
    text = repr(ImportKey(KEY_ID, "aes-128", b"hunter2hunter2hunter2", "data"))
    assert KEY_ID.hex() in text
    assert "material=<21 bytes>" in text


def test_nested_structures_are_arrays_too() -> None:
    body = KeyInfo(KEY_ID, "ec-p256", "tls", 3, True, 1, 0, "generated", b"", Policy(1, [2], 3, 4, 5, 6))
    assert msgpack.unpackb(encode_body(body))[-6] == [1, [2], 3, 4, 5, 6]
