"""Certificates and keys in files."""

import datetime
from datetime import timedelta
from pathlib import Path

import pytest
from certificates import Authority
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from reports import answer

from hsm_client.config import TlsFiles
from hsmctl.doctor.certificates import certificate_findings, open_file, proxy_findings


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


IDENTITY = "spiffe://payments/client/app"
ROLES = ("client", "operator")


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    """A whole set, valid for an hour."""
    return issued(Authority(tmp_path / "ca"), IDENTITY)


def issued(authority: Authority, identity: str) -> TlsFiles:
    made = authority.issue(identity, "app")
    made.key.chmod(0o600)
    return TlsFiles(made.ca, made.certificate, made.key)


def wrongs(files: TlsFiles, at: datetime.datetime | None = None) -> list[str]:
    return [found.wrong for found in certificate_findings(files, at or now(), ROLES)]


def test_a_whole_set_that_is_valid_has_nothing_wrong(files: TlsFiles) -> None:
    assert wrongs(files) == []


def test_what_expires_soon_or_has_expired_is_said_of_certificate_and_ca(files: TlsFiles) -> None:
    soon = certificate_findings(files, now() + timedelta(minutes=50), ROLES)
    assert {found.severity for found in soon} == {"warning"}
    assert [found.wrong.split(" expires in")[0] for found in soon] == ["the CA certificate", "the certificate"]
    assert all("expired on" in wrong for wrong in wrongs(files, now() + timedelta(hours=2)))
    assert all("not valid before" in wrong for wrong in wrongs(files, now() - timedelta(days=2)))


def test_two_weeks_are_soon_for_one_that_lives_long(tmp_path: Path) -> None:
    files = issued(Authority(tmp_path / "ca", timedelta(days=365)), IDENTITY)
    assert wrongs(files, now() + timedelta(days=350)) == []
    assert "expires in 13 days" in wrongs(files, now() + timedelta(days=351, hours=12))[0]


def test_another_authority_is_found_and_so_is_the_key_of_another_certificate(files: TlsFiles, tmp_path: Path) -> None:
    other = issued(Authority(tmp_path / "other"), IDENTITY)
    assert wrongs(TlsFiles(other.ca, files.certificate, files.key)) == [f"no CA of {other.ca} issued it"]
    assert wrongs(TlsFiles(files.ca, files.certificate, other.key)) == [f"it is not the key of {files.certificate}"]


@pytest.mark.parametrize(
    ("identity", "wrong"),
    [
        ("spiffe://payments/node/zrh-1", "it is of a node (spiffe://payments/node/zrh-1)"),
        ("https://payments", "its identity is 'https://payments'"),
    ],
)
def test_an_identity_that_does_not_do_is_said(tmp_path: Path, identity: str, wrong: str) -> None:
    assert wrongs(issued(Authority(tmp_path / "ca"), identity)) == [wrong]


def test_a_file_that_is_missing_or_no_pem_is_said_each_once(files: TlsFiles, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("nonsense")
    nonsense.chmod(0o600)
    missing = TlsFiles(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert wrongs(missing) == ["it cannot be read: No such file or directory"] * 3
    assert wrongs(TlsFiles(nonsense, nonsense, nonsense)) == [
        "it is no PEM certificate", "it is no PEM certificate", "it is no PEM private key"
    ]  # fmt: skip


def test_a_key_that_others_can_use_is_said_with_the_command_that_mends_it(files: TlsFiles) -> None:
    files.key.chmod(0o644)
    [found] = certificate_findings(files, now(), ROLES)
    assert (found.severity, found.wrong) == ("warning", "others can use the key (mode 0644)")
    assert found.advice == f"chmod 0400 {files.key}"


def test_a_proxys_certificate_that_is_about_to_expire_is_said(files: TlsFiles) -> None:
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    seen = [answer(certificate=certificate.public_bytes(Encoding.DER)), answer()]
    assert proxy_findings(seen, now()) == []
    [found] = proxy_findings(seen, now() + timedelta(minutes=50))
    assert (found.severity, found.subject) == ("warning", "proxy 10.0.0.1:2410")


def test_a_file_that_is_not_there_is_open_to_nobody(tmp_path: Path) -> None:
    assert open_file("files", tmp_path / "none", 0o777, "open", "0600") == []
