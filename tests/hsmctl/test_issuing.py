"""Certificates and requests, made here with ordinary keys and checked by openssl."""

import datetime
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa, x25519

from hsmctl.distinguished_names import alternative_names, subject_of
from hsmctl.failures import CommandError
from hsmctl.issuing import (
    PrivateKey,
    able_to_sign,
    key_of,
    load_authority,
    load_certificate,
    load_request,
    make_certificate,
    make_request,
    names_of,
)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@pytest.fixture(params=["rsa", "ec", "ed25519", "ed448"])
def key(request: pytest.FixtureRequest) -> PrivateKey:
    if request.param == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if request.param == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return (ed25519.Ed25519PrivateKey if request.param == "ed25519" else ed448.Ed448PrivateKey).generate()


def test_openssl_verifies_the_chain_from_request_to_certificate(key: PrivateKey, tmp_path: Path) -> None:
    server = ec.generate_private_key(ec.SECP256R1())
    ca = make_certificate(key, subject_of("CN=CA"), key.public_key(), now=now(), days=10, ca=True)
    data = make_request(server, subject_of("CN=localhost"), alternative_names(("dns:localhost",)))
    request = load_request(data, "server.csr")
    leaf = make_certificate(
        key, request.subject, server.public_key(), now=now(), days=5,
        issuer=load_certificate(ca, "ca.pem"), names=names_of(request),
    )  # fmt: skip
    (tmp_path / "ca.pem").write_bytes(ca)
    (tmp_path / "leaf.pem").write_bytes(leaf)
    command = ["openssl", "verify", "-x509_strict", "-verify_hostname", "localhost", "-CAfile", "ca.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_request_without_names_asks_for_none(key: PrivateKey) -> None:
    assert names_of(load_request(make_request(key, subject_of("CN=a"), None), "a.csr")) is None


def test_files_of_another_kind_are_refused_with_their_name() -> None:
    with pytest.raises(CommandError, match=r"a\.csr is no certificate signing request"):
        load_request(b"nonsense", "a.csr")
    with pytest.raises(CommandError, match=r"a\.pem is no certificate"):
        load_certificate(b"nonsense", "a.pem")


def test_a_request_signed_by_another_key_is_refused() -> None:
    one, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    der = x509.load_pem_x509_csr(make_request(one, subject_of("CN=a"), None)).public_bytes(serialization.Encoding.DER)
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    forged = der.replace(one.public_key().public_bytes(*form), other.public_key().public_bytes(*form))
    with pytest.raises(CommandError, match="signature"):
        load_request(forged, "a.csr")


def test_only_the_certificate_of_a_ca_is_an_authority(key: PrivateKey) -> None:
    name, public = subject_of("CN=x"), key.public_key()
    ca = make_certificate(key, name, public, now=now(), days=1, ca=True)
    assert load_authority(ca, "ca.pem") == load_certificate(ca, "ca.pem")
    with pytest.raises(CommandError, match=r"leaf\.pem is not the certificate of a CA; "):
        load_authority(make_certificate(key, name, public, now=now(), days=1), "leaf.pem")


def test_a_request_for_a_type_of_key_that_we_certify_gives_its_key(key: PrivateKey) -> None:
    request = load_request(make_request(key, subject_of("CN=x"), None), "x.csr")
    assert key_of(request, "x.csr") == key.public_key()


def test_a_request_for_another_type_of_key_is_refused() -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_of("CN=x"))
    request = builder.sign(mldsa.MLDSA44PrivateKey.generate(), None)
    with pytest.raises(CommandError, match=r"the key of x\.csr is not certified here; "):
        key_of(request, "x.csr")


def test_a_key_that_only_agrees_on_keys_signs_nothing(key: PrivateKey) -> None:
    assert able_to_sign(key, "tls") is key
    with pytest.raises(CommandError, match="tls does not do: a key of type x25519 signs nothing; name one of type RSA"):
        able_to_sign(x25519.X25519PrivateKey.generate(), "tls")
