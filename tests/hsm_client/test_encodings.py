"""DER and r || s."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_client.encodings import COORDINATE_BYTES, digest_info, ecdsa_der, ecdsa_raw
from hsm_client.errors import BadSignature, UnknownMechanism
from hsm_wire.key_types import KEY_TYPES, Family


@given(st.binary(min_size=64, max_size=64))
def test_raw_to_der_and_back_is_the_same(raw):
    assert ecdsa_raw(ecdsa_der(raw), "ec-p256") == raw


@pytest.mark.parametrize("der", [b"", b"nonsense", ecdsa_der(b"\xff" * 96)])
def test_what_is_no_signature_of_the_curve_is_a_bad_signature(der):
    with pytest.raises(BadSignature):
        ecdsa_raw(der, "ec-p256")


def test_every_curve_has_its_length():
    assert set(COORDINATE_BYTES) == {name for name, row in KEY_TYPES.items() if row.family == Family.EC}
    for name, size in COORDINATE_BYTES.items():
        assert size == (KEY_TYPES[name].size + 7) // 8
        assert ecdsa_raw(ecdsa_der(b"\x01" * 2 * size), name) == b"\x01" * 2 * size


def test_a_hash_without_a_digest_info_is_refused():
    with pytest.raises(UnknownMechanism, match="sha1 is not offered"):
        digest_info("sha1", bytes(20))
