"""Certificates signed by keys in a real cluster, checked by openssl."""

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, mldsa
from cryptography.hazmat.primitives.hashes import SHA256


@pytest.fixture
def authority(shell, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    shell.good("cert", "ca", "--key", "p256", "--subject", "CN=Our CA", "--out", path)
    return path


@pytest.fixture
def request_file(shell, tmp_path: Path) -> Path:
    path = tmp_path / "tls.csr"
    shell.good("csr", "--key", "rsa", "--subject", "CN=www", "--san", "dns:www", "--out", path)
    return path


def test_openssl_accepts_the_whole_chain(shell, authority: Path, request_file: Path, tmp_path: Path) -> None:
    issue = ["cert", "issue", "--ca-key", "p256", "--ca-cert", authority, "--csr", request_file, "--days", "5"]
    shell.good(*issue, "--out", tmp_path / "tls.pem")
    command = ["openssl", "verify", "-x509_strict", "-verify_hostname", "www", "-CAfile", authority, "tls.pem"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = x509.load_pem_x509_certificate(shell.json(*issue)["certificate"].encode())
    assert made.subject.rfc4514_string() == "CN=www"


@pytest.mark.parametrize("label", ["p256", "rsa", "ed"])
def test_a_self_signed_certificate_verifies_with_its_own_key(shell, label: str) -> None:
    data = shell.good("cert", "self-signed", "--key", label, "--subject", "CN=localhost", "--san", "dns:localhost")
    certificate = x509.load_pem_x509_certificate(data)
    certificate.verify_directly_issued_by(certificate)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_of_another_key_or_of_no_ca_issues_nothing(
    shell, authority: Path, request_file: Path, tmp_path: Path
) -> None:
    line = shell.bad(2, "cert", "issue", "--ca-key", "ed", "--ca-cert", authority, "--csr", request_file)
    assert "belong together" in line
    shell.good("cert", "self-signed", "--key", "p256", "--subject", "CN=x", "--out", tmp_path / "leaf.pem")
    line = shell.bad(2, "cert", "issue", "--ca-key", "p256", "--ca-cert", tmp_path / "leaf.pem", "--csr", request_file)
    assert "hsmctl cert ca" in line


@pytest.mark.parametrize("kind", ["dsa", "ml-dsa"])
def test_a_request_for_a_key_of_another_type_is_refused(shell, authority: Path, tmp_path: Path, kind: str) -> None:
    private = dsa.generate_private_key(1024) if kind == "dsa" else mldsa.MLDSA44PrivateKey.generate()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name.from_rfc4514_string("CN=x"))
    request = builder.sign(private, SHA256() if kind == "dsa" else None)  # type: ignore[arg-type] # either fits
    (tmp_path / "x.csr").write_bytes(request.public_bytes(serialization.Encoding.PEM))
    line = shell.bad(2, "cert", "issue", "--ca-key", "p256", "--ca-cert", authority, "--csr", tmp_path / "x.csr")
    assert "RSA, EC, Ed25519 or Ed448" in line


def test_files_that_are_not_what_they_should_be_are_one_line(
    shell, authority: Path, request_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    issue = ["cert", "issue", "--ca-key", "p256"]
    assert "no certificate" in shell.bad(2, *issue, "--ca-cert", tmp_path / "empty", "--csr", request_file)
    assert "hsmctl csr" in shell.bad(2, *issue, "--ca-cert", authority, "--csr", tmp_path / "empty")
    assert "check the path" in shell.bad(2, *issue, "--ca-cert", tmp_path / "none", "--csr", request_file)
    assert "standard input" in shell.bad(2, *issue, "--ca-cert", "-", "--csr", "-")
    assert "RSA, EC, Ed25519 or Ed448" in shell.bad(1, "cert", "ca", "--key", "aes", "--subject", "CN=x")
