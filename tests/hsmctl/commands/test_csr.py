"""Certificate signing requests for keys in a real cluster."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization


@pytest.mark.parametrize("label", ["p256", "rsa", "ed"])
def test_a_request_is_signed_by_its_key_and_names_what_was_asked_for(shell, label: str) -> None:
    data = shell.good("csr", "--key", label, "--subject", "CN=www,O=Us", "--san", "dns:www", "--san", "ip:127.0.0.1")
    request = x509.load_pem_x509_csr(data)
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=www,O=Us"
    assert len(list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)) == 2
    assert request.public_key() == serialization.load_pem_public_key(shell.good("key", "public", label))


def test_the_request_goes_to_its_file_and_with_json_into_the_json(shell, tmp_path: Path) -> None:
    csr = ["csr", "--key", "p256", "--subject", "CN=x"]
    assert shell.good(*csr, "--out", tmp_path / "x.csr") == b""
    assert x509.load_pem_x509_csr((tmp_path / "x.csr").read_bytes()).is_signature_valid
    assert x509.load_pem_x509_csr(shell.json(*csr)["csr"].encode()).is_signature_valid


def test_wrong_subjects_names_keys_and_files_are_one_line(shell, tmp_path: Path) -> None:
    assert "CN=" in shell.bad(2, "csr", "--key", "p256", "--subject", "")
    assert "dns:NAME" in shell.bad(2, "csr", "--key", "p256", "--subject", "CN=x", "--san", "www")
    assert "RSA, EC, Ed25519 or Ed448" in shell.bad(1, "csr", "--key", "aes", "--subject", "CN=x")
    assert "hsmctl key list" in shell.bad(1, "csr", "--key", "none", "--subject", "CN=x")
    assert "cannot write" in shell.bad(2, "csr", "--key", "p256", "--subject", "CN=x", "--out", tmp_path)
