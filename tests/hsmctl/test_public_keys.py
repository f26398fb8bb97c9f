"""Public keys and certificates in files."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from hsmctl.distinguished_names import subject_of
from hsmctl.failures import CommandError
from hsmctl.issuing import make_certificate
from hsmctl.public_keys import load_peer, load_public_key, pem_form, stored_form


def written(key: PublicKeyTypes, encoding: s.Encoding) -> bytes:
    return key.public_bytes(encoding, s.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("encoding", [s.Encoding.PEM, s.Encoding.DER])
def test_a_peer_is_an_ec_or_x25519_key_in_pem_or_der(encoding: s.Encoding) -> None:
    for public in (
        x25519.X25519PrivateKey.generate().public_key(),
        ec.generate_private_key(ec.SECP384R1()).public_key(),
    ):
        assert load_peer(written(public, encoding), "peer") == public


def test_what_cannot_agree_on_keys_is_no_peer() -> None:
    with pytest.raises(CommandError, match="peer cannot agree on keys; name a public key of type EC or X25519"):
        load_peer(written(ed25519.Ed25519PrivateKey.generate().public_key(), s.Encoding.PEM), "peer")


@pytest.mark.parametrize("data", [b"", b"nonsense", b"-----BEGIN nonsense"])
def test_what_is_no_public_key_is_refused_with_its_file(data: bytes) -> None:
    with pytest.raises(CommandError, match="standard input is no public key in PEM or DER"):
        load_public_key(data, "-")


def test_certificates_and_public_keys_are_stored_as_der_and_come_back_as_pem() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = make_certificate(key, subject_of("CN=x"), key.public_key(), now=now, days=1)
    public = written(key.public_key(), s.Encoding.PEM)
    for kind, pem in (("certificate", certificate), ("public-key", public)):
        der = stored_form(kind, pem, "file")
        assert der[0] == 0x30
        assert stored_form(kind, der, "file") == der
        assert pem_form(kind, der) == pem
    assert x509.load_der_x509_certificate(stored_form("certificate", certificate, "file")).subject == subject_of("CN=x")


def test_data_is_stored_as_it_is_and_has_no_pem() -> None:
    assert stored_form("data", b"anything", "file") == b"anything"
    assert pem_form("data", b"anything") is None


def test_what_another_client_stored_under_a_wrong_name_has_no_pem() -> None:
    assert pem_form("certificate", b"nonsense") is None
    assert pem_form("public-key", b"nonsense") is None


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(CommandError, match="file is no certificate"):
        stored_form("certificate", b"nonsense", "file")
    with pytest.raises(CommandError, match="file is no public key"):
        stored_form("public-key", b"nonsense", "file")
