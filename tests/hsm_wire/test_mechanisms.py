import pytest

from hsm_wire import mechanisms
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import MECHANISM_BY_ALIAS, MECHANISMS, Mechanism
from hsm_wire.usages import ALL_USAGES, PolicyFlag, Usage

PKCS11 = {  # From the header of PKCS#11 3.2, written here a second time.
    "CKM_RSA_PKCS": 0x1,
    "CKM_RSA_X_509": 0x3,
    "CKM_RSA_PKCS_OAEP": 0x9,
    "CKM_RSA_PKCS_PSS": 0xD,
    "CKM_ML_KEM": 0x17,
    "CKM_ML_DSA": 0x1D,
    "CKM_SHA256_RSA_PKCS": 0x40,
    "CKM_SHA384_RSA_PKCS": 0x41,
    "CKM_SHA512_RSA_PKCS": 0x42,
    "CKM_SHA256_RSA_PKCS_PSS": 0x43,
    "CKM_SHA384_RSA_PKCS_PSS": 0x44,
    "CKM_SHA512_RSA_PKCS_PSS": 0x45,
    "CKM_SHA256_HMAC": 0x251,
    "CKM_SHA384_HMAC": 0x261,
    "CKM_SHA512_HMAC": 0x271,
    "CKM_ECDSA": 0x1041,
    "CKM_ECDSA_SHA256": 0x1044,
    "CKM_ECDSA_SHA384": 0x1045,
    "CKM_ECDSA_SHA512": 0x1046,
    "CKM_ECDH1_DERIVE": 0x1050,
    "CKM_EDDSA": 0x1057,
    "CKM_AES_CBC": 0x1082,
    "CKM_AES_CBC_PAD": 0x1085,
    "CKM_AES_CTR": 0x1086,
    "CKM_AES_GCM": 0x1087,
    "CKM_AES_CMAC": 0x108A,
    "CKM_AES_KEY_WRAP": 0x2109,
    "CKM_AES_KEY_WRAP_KWP": 0x210B,
    "CKM_HKDF_DERIVE": 0x402A,
    "CKM_SHA1_RSA_PKCS": 0x0006,
}


def test_mechanisms_have_pkcs11s_names_and_numbers() -> None:
    assert {row.name: number for number, row in MECHANISMS.items()} == PKCS11
    assert all(getattr(mechanisms, row.name) == number for number, row in MECHANISMS.items())


def test_aliases_are_unique() -> None:
    assert len(MECHANISM_BY_ALIAS) == len(MECHANISMS)
    assert {"ecdsa-sha256", "rsa-pkcs1-sha256", "rsa-pss-sha256", "eddsa", "aes-gcm"} <= set(MECHANISM_BY_ALIAS)


@pytest.mark.parametrize("row", MECHANISMS.values(), ids=lambda row: row.alias)
def test_every_mechanism_fits_a_key_type_that_may_be_used_for_it(row: Mechanism) -> None:
    assert row.usages
    assert row.usages & ~ALL_USAGES == 0
    for family in row.families:
        assert any(key.family is family and key.usages & row.usages for key in KEY_TYPES.values())


def test_a_required_parameter_has_a_form() -> None:
    assert all(row.parameters is not None for row in MECHANISMS.values() if row.parameters_required)


def test_sha1_signs_only_with_keys_made_for_tests_of_the_old() -> None:
    rows = [row for row in MECHANISMS.values() if row.hash_mechanism == mechanisms.CKM_SHA_1]
    assert [row.number for row in rows] == [mechanisms.CKM_SHA1_RSA_PKCS]
    assert all(row.needed_flags(usage) == PolicyFlag.LEGACY_TEST for row in rows for usage in row.usages)
    assert mechanisms.CKM_SHA_1 not in mechanisms.HASH_NAMES
    hashes = {row.hash_mechanism for row in MECHANISMS.values()}
    assert hashes == {0, mechanisms.CKM_SHA_1, *mechanisms.HASH_NAMES}


def test_what_is_dangerous_needs_a_flag_of_the_key() -> None:
    needed = {(row.alias, usage): row.needed_flags(usage) for row in MECHANISMS.values() for usage in row.usages}
    assert needed["rsa-pkcs1", Usage.DECRYPT] == PolicyFlag.PKCS1_DECRYPT
    assert needed["rsa-pkcs1", Usage.SIGN] == 0
    assert needed["aes-cbc-pad", Usage.DECRYPT] == PolicyFlag.CBC_PADDING
    assert needed["aes-cbc-pad", Usage.ENCRYPT] == 0
    assert all(flag == PolicyFlag.RAW_RSA for (alias, _), flag in needed.items() if alias == "rsa-raw")


def test_a_mechanism_that_hashes_does_not_take_a_digest() -> None:
    assert not [row for row in MECHANISMS.values() if row.hash_mechanism and row.digest_input]
