"""The development CA, checked by openssl."""

import datetime
import subprocess
from pathlib import Path

from cryptography import x509

from hsmctl.certificates import CA_LIFETIME, LEAF_LIFETIME, Authority

IDENTITY = "spiffe://dev/node/node-1"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def test_openssl_accepts_what_the_ca_issues(tmp_path: Path) -> None:
    authority = Authority.create("dev", now())
    certificate, key = authority.issue(IDENTITY, now())
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    (tmp_path / "leaf.pem").write_bytes(certificate)
    for purpose in ("sslserver", "sslclient"):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "leaf.pem"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")


def test_a_certificate_has_its_identity_as_its_only_uri() -> None:
    certificate, _ = Authority.create("dev", now()).issue(IDENTITY, now())
    names = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [IDENTITY]


def test_a_certificate_has_the_common_name_that_is_asked_for_or_its_identity_s() -> None:
    authority = Authority.create("dev", now())
    for common_name, expected in (("", "node-1"), ("redoubt-etcd", "redoubt-etcd")):
        certificate, _ = authority.issue(IDENTITY, now(), common_name)
        assert x509.load_pem_x509_certificate(certificate).subject.rfc4514_string() == f"CN={expected}"


def test_a_certificate_lives_two_weeks() -> None:
    moment = now().replace(microsecond=0)
    certificate, _ = Authority.create("dev", moment).issue(IDENTITY, moment)
    assert x509.load_pem_x509_certificate(certificate).not_valid_after_utc == moment + LEAF_LIFETIME


def test_a_kept_ca_is_used_again() -> None:
    made = Authority.create("dev", now())
    kept = Authority.maybe_load(made.certificate_pem, made.key_pem, now())
    assert kept is not None
    assert kept.certificate_pem == made.certificate_pem


def test_a_ca_about_to_expire_damaged_or_with_a_foreign_key_is_not_used_again() -> None:
    made, other = Authority.create("dev", now()), Authority.create("dev", now())
    assert Authority.maybe_load(made.certificate_pem, made.key_pem, now() + CA_LIFETIME - LEAF_LIFETIME) is None
    assert Authority.maybe_load(b"nonsense", made.key_pem, now()) is None
    assert Authority.maybe_load(made.certificate_pem, other.key_pem, now()) is None
