import pytest

from hsm_node.backends.key_derivation import SecretKey, check_secret_material
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import HkdfParameters
from hsm_wire.statuses import Status

DERIVE = ckm.CKM_HKDF_DERIVE


def test_the_first_vector_of_rfc_5869() -> None:
    parameters = HkdfParameters(ckm.CKM_SHA256, bytes(range(13)), bytes(range(0xF0, 0xFA)))
    derived = SecretKey(b"\x0b" * 22).derive(DERIVE, parameters, 32)
    assert derived.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


@pytest.mark.parametrize(("number", "length"), [(ckm.CKM_SHA256, 32), (ckm.CKM_SHA384, 48), (ckm.CKM_SHA512, 64)])
def test_no_salt_is_the_hash_s_length_of_zeros(number: int, length: int) -> None:
    key = SecretKey(bytes(range(32)))
    without = key.derive(DERIVE, HkdfParameters(number), 64)
    assert without == key.derive(DERIVE, HkdfParameters(number, bytes(length)), 64)
    assert without != key.derive(DERIVE, HkdfParameters(number, b"", b"info"), 64)


@pytest.mark.parametrize("number", [ckm.CKM_SHA_1, 0, 0xFFFF_FFFF])
def test_other_hashes_are_refused(number: int) -> None:
    with pytest.raises(Refusal) as refused:
        SecretKey(bytes(32)).derive(DERIVE, HkdfParameters(number), 32)
    assert refused.value.status is Status.BAD_REQUEST


def test_secrets_have_a_sensible_length() -> None:
    for length in (16, 1024):
        check_secret_material(bytes(length))
    for length in (0, 15, 1025):
        with pytest.raises(Refusal, match="16 to 1024"):
            check_secret_material(bytes(length))
