"""From a mechanism's name to the wire."""

import hashlib

import pytest

from hsm_client.errors import BadData, UnknownMechanism
from hsm_client.mechanisms import LOCAL_HASH_BYTES, prepare_cipher, prepare_signature
from hsm_wire import mechanisms as m
from hsm_wire import parameters as p
from hsm_wire.messages import NIL_PARAMETERS, decode_body

LONG = bytes(LOCAL_HASH_BYTES + 1)


def _signature(mechanism, data, prehashed=False):
    return prepare_signature(mechanism, data, prehashed=prehashed, parameters=None)


def test_long_data_is_hashed_here_for_rsa_and_ecdsa_alone():
    assert _signature("ecdsa-sha256", LONG)[::2] == (m.CKM_ECDSA, hashlib.sha256(LONG).digest())
    assert _signature("rsa-pss-sha512", LONG).number == m.CKM_RSA_PKCS_PSS
    assert _signature("rsa-pkcs1-sha256", LONG).data.endswith(hashlib.sha256(LONG).digest())
    assert _signature("eddsa", LONG).data == LONG == _signature("hmac-sha256", LONG).data


def test_a_digest_of_the_wrong_length_and_one_for_ed25519_are_refused():
    with pytest.raises(BadData):
        _signature("ecdsa-sha256", b"short", prehashed=True)
    with pytest.raises(UnknownMechanism):
        _signature("eddsa", bytes(32), prehashed=True)


def test_an_unknown_mechanism_lists_the_known_ones():
    with pytest.raises(UnknownMechanism, match="ecdsa-sha256"):
        prepare_cipher("rot13", b"", iv=b"", aad=b"", parameters=None)


def test_large_data_is_sent_whole_where_the_keys_policy_has_no_form_for_digests():
    data = bytes(LOCAL_HASH_BYTES + 1)
    whole = prepare_signature("ecdsa-sha256", data, prehashed=False, parameters=None, allowed=[m.CKM_ECDSA_SHA256])
    assert (whole.number, whole.data) == (m.CKM_ECDSA_SHA256, data)
    both = [m.CKM_ECDSA_SHA256, m.CKM_ECDSA]
    assert prepare_signature("ecdsa-sha256", data, prehashed=False, parameters=None, allowed=both).data != data


def test_a_context_is_the_mechanisms_parameter_where_it_has_one():
    def parameters(mechanism, form):
        made = prepare_signature(mechanism, b"x", prehashed=False, parameters=None, context=b"c")
        return decode_body(form, made.parameters)

    assert parameters("ml-dsa", p.MlDsaParameters).context == b"c"
    assert parameters("eddsa", p.EddsaParameters).context == b"c"
    for mechanism in ("hmac-sha256", "ecdsa-sha256", "rsa-pss-sha256"):
        with pytest.raises(UnknownMechanism, match="no context"):
            parameters(mechanism, p.MlDsaParameters)


@pytest.mark.parametrize(
    ("mechanism", "iv", "expected"),
    [
        ("aes-cbc", b"i" * 16, p.IvParameters(b"i" * 16)),
        ("aes-cbc-pad", b"", p.IvParameters()),
        ("aes-ctr", b"i" * 16, p.CtrParameters(128, b"i" * 16)),
        ("aes-gcm", b"i" * 12, p.GcmParameters(b"i" * 12)),
        ("rsa-oaep", b"", p.OaepParameters(m.CKM_SHA256, p.CKG_MGF1_SHA256)),
    ],
)
def test_the_initialisation_vector_goes_where_the_mechanism_has_it(mechanism, iv, expected):
    made = prepare_cipher(mechanism, b"", iv=iv, aad=b"", parameters=None)
    assert decode_body(type(expected), made.parameters) == expected


@pytest.mark.parametrize("mechanism", ["rsa-pkcs1", "rsa-raw", "aes-kw", "aes-kwp"])
def test_a_mechanism_without_parameters_has_nil(mechanism):
    assert prepare_cipher(mechanism, b"", iv=b"", aad=b"", parameters=None).parameters == NIL_PARAMETERS
    with pytest.raises(UnknownMechanism, match="no additional data"):
        prepare_cipher(mechanism, b"", iv=b"", aad=b"a", parameters=None)
