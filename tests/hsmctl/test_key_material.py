"""Private keys in files."""

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from hsmctl.failures import CommandError
from hsmctl.key_material import material_of


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    lock = s.BestAvailableEncryption(password) if password else s.NoEncryption()
    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, lock)


def test_the_type_is_read_from_the_file_and_the_material_is_pkcs8_der() -> None:
    found, material = material_of(pem(ec.generate_private_key(ec.SECP384R1())), None)
    assert found == "ec-p384"
    assert material_of(material, "ec-p384") == (found, material)


def test_a_secret_key_is_taken_as_it_is() -> None:
    assert material_of(b"\x01" * 32, "aes-256") == ("aes-256", b"\x01" * 32)


def test_a_type_that_does_not_fit_is_refused() -> None:
    with pytest.raises(CommandError, match="type ed25519, not rsa-2048"):
        material_of(pem(ed25519.Ed25519PrivateKey.generate()), "rsa-2048")


def test_an_encrypted_key_and_no_key_are_refused() -> None:
    with pytest.raises(CommandError, match="encrypted"):
        material_of(pem(ed25519.Ed25519PrivateKey.generate(), b"secret"), None)
    with pytest.raises(CommandError, match="no private key"):
        material_of(b"nonsense", None)


def test_a_curve_that_is_not_offered_is_refused() -> None:
    with pytest.raises(CommandError, match="secp224r1 are not offered"):
        material_of(pem(ec.generate_private_key(ec.SECP224R1())), None)
