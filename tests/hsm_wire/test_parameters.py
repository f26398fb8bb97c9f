import msgpack
import pytest

from hsm_wire import mechanisms as c
from hsm_wire import parameters as p
from hsm_wire.errors import BodyError
from hsm_wire.messages import decode_body, encode_body


def test_parameters_have_pkcs11s_fields_in_its_order() -> None:
    assert msgpack.unpackb(encode_body(p.PssParameters(c.CKM_SHA256, p.CKG_MGF1_SHA256, 32))) == [0x250, 2, 32]
    assert msgpack.unpackb(encode_body(p.OaepParameters(c.CKM_SHA256, p.CKG_MGF1_SHA256, b"l"))) == [0x250, 2, b"l"]
    assert msgpack.unpackb(encode_body(p.GcmParameters(b"iv", b"aad", 96))) == [b"iv", b"aad", 96]


def test_an_encryption_may_leave_all_gcm_parameters_out() -> None:
    assert decode_body(p.GcmParameters, b"\x90") == p.GcmParameters(b"", b"", 128)


@pytest.mark.parametrize("salt", [-1, 1 << 32])
def test_lengths_are_never_negative_nor_above_32_bits(salt: int) -> None:
    with pytest.raises(BodyError):
        decode_body(p.PssParameters, msgpack.packb([0x250, 2, salt]))


@pytest.mark.parametrize("form", [p.EddsaParameters, p.MlDsaParameters])
def test_contexts_have_at_most_255_bytes(form: type[p.EddsaParameters] | type[p.MlDsaParameters]) -> None:
    before = [False] if form is p.EddsaParameters else []
    decode_body(form, msgpack.packb([*before, bytes(255)]))
    with pytest.raises(BodyError):
        decode_body(form, msgpack.packb([*before, bytes(256)]))


def test_nil_is_no_form_of_parameters() -> None:
    with pytest.raises(BodyError):
        decode_body(p.PssParameters, b"\xc0")


def test_mask_generation_functions_have_pkcs11s_numbers() -> None:
    assert (p.CKG_MGF1_SHA1, p.CKG_MGF1_SHA256, p.CKG_MGF1_SHA384, p.CKG_MGF1_SHA512) == (1, 2, 3, 4)


def test_no_parameter_that_may_be_secret_is_shown() -> None:
    assert repr(p.HkdfParameters(c.CKM_SHA256, b"a secret salt", b"info")) == (
        "HkdfParameters(hash_mechanism=592, salt=<13 bytes>, info=<4 bytes>)"
    )
