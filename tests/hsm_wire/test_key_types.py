from hsm_wire.key_types import KEY_TYPES, Family

CONTRACT = (
    "rsa-2048 rsa-3072 rsa-4096 ec-p256 ec-p384 ec-p521 ec-secp256k1 ed25519 ed448 x25519 aes-128 aes-192 aes-256 "
    "hmac-256 ml-dsa-44 ml-dsa-65 ml-dsa-87 ml-kem-768 ml-kem-1024"
)


def test_key_types_of_the_contract_are_there() -> None:
    assert set(CONTRACT.split()) <= set(KEY_TYPES)
    assert all(name == row.name and len(name) <= 32 for name, row in KEY_TYPES.items())


def test_default_usages_make_sense_for_the_type() -> None:
    for row in KEY_TYPES.values():
        assert row.default_usages
        assert row.default_usages & ~row.usages == 0


def test_symmetric_types_have_no_public_part() -> None:
    assert {row.family for row in KEY_TYPES.values() if row.symmetric} == {Family.AES, Family.HMAC, Family.SECRET}


def test_rsa_below_2048_is_no_key_type() -> None:
    assert min(row.size for row in KEY_TYPES.values() if row.family is Family.RSA) == 2048
