"""DER and r || s."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_client.encodings import ecdsa_der, ecdsa_raw
from hsm_client.errors import BadSignature


@given(st.binary(min_size=64, max_size=64))
def test_raw_to_der_and_back_is_the_same(raw):
    assert ecdsa_raw(ecdsa_der(raw), "ec-p256") == raw


@pytest.mark.parametrize("der", [b"", b"nonsense", ecdsa_der(b"\xff" * 96)])
def test_what_is_no_signature_of_the_curve_is_a_bad_signature(der):
    with pytest.raises(BadSignature):
        ecdsa_raw(der, "ec-p256")
