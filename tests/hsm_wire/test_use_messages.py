import msgpack

from hsm_wire.forms import decode_body
from hsm_wire.parameters import GcmParameters
from hsm_wire.use_messages import Derive, Sign

KEY_ID = bytes(range(16))


def test_a_body_is_read_from_parameters_kept_raw() -> None:
    array = [KEY_ID, 0x1087, [b"iv", b"aad", 128], b"data"]
    kept = decode_body(Sign, msgpack.packb(array)).parameters
    assert decode_body(GcmParameters, kept) == GcmParameters(b"iv", b"aad", 128)


def test_derive_keeps_the_order_of_the_protocol() -> None:
    assert Derive.__struct_fields__ == (
        "key_id", "mechanism", "parameters", "new_key_id", "key_type", "label", "usage", "policy"
    )  # fmt: skip
