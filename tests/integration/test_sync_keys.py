"""Keys in the cluster as `cryptography` private keys: x509 builders and PyJWT take them as they are."""

import os
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cluster import Cluster
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hsm_client import sync

KINDS = ["rsa-2048", "ec-p256", "ec-p384", "ec-p521", "ed25519"]
TOKEN_ALGORITHMS = {"rsa-2048": ["RS256", "PS256"], "ec-p256": ["ES256"], "ec-p384": ["ES384"], "ed25519": ["EdDSA"]}


@pytest.fixture
def hsm(shared: Cluster) -> Iterator[sync.Hsm]:
    """The blocking client."""
    with sync.connect(shared.client_config) as made:
        yield made


def hash_for(kind: str) -> hashes.SHA256 | None:
    """Return the hash that a builder's `sign` wants for that type of key."""
    return None if kind == "ed25519" else hashes.SHA256()


def name(text: str) -> x509.Name:
    """Return a name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_signed_in_the_cluster_is_accepted_by_openssl(hsm: sync.Hsm, tmp_path: Path, kind: str) -> None:
    private = hsm.private_key(hsm.generate_key(kind).id)
    server = ec.generate_private_key(ec.SECP256R1()).public_key()
    now = datetime.now(UTC)
    paths = []
    for subject, public, ca in (("root", private.public_key(), True), ("server", server, False)):
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("root"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(private, hash_for(kind))
        )
        path = tmp_path / f"{subject}.pem"
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        paths.append(path)
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", *map(str, paths)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("OK")


@pytest.mark.parametrize("kind", KINDS)
def test_a_signing_request_is_accepted_by_openssl(hsm: sync.Hsm, tmp_path: Path, kind: str) -> None:
    private = hsm.private_key(hsm.generate_key(kind).id)
    request = x509.CertificateSigningRequestBuilder().subject_name(name("server")).sign(private, hash_for(kind))
    assert request.is_signature_valid
    path = tmp_path / "request.pem"
    path.write_bytes(request.public_bytes(Encoding.PEM))
    done = subprocess.run(
        ["openssl", "req", "-in", str(path), "-verify", "-noout"], capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", TOKEN_ALGORITHMS)
def test_pyjwt_signs_with_a_key_in_the_cluster(hsm: sync.Hsm, kind: str) -> None:
    private = hsm.private_key(hsm.generate_key(kind).id)
    public = private.public_key()
    for algorithm in TOKEN_ALGORITHMS[kind]:
        token = jwt.encode({"sub": "somebody"}, private, algorithm=algorithm)
        assert jwt.decode(token, public, algorithms=[algorithm]) == {"sub": "somebody"}
        head, _, _ = token.rpartition(".")
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(
                head + "." + jwt.encode({}, private, algorithm=algorithm).rpartition(".")[2], public, [algorithm]
            )


def test_private_keys_sign_as_cryptography_says(hsm: sync.Hsm) -> None:
    data = os.urandom(50_000)
    rsa = hsm.private_key(hsm.generate_key("rsa-2048").id)
    rsa_public = rsa.public_key()
    assert isinstance(rsa_public, RSAPublicKey)
    for scheme in (padding.PKCS1v15(), padding.PSS(padding.MGF1(hashes.SHA384()), padding.PSS.DIGEST_LENGTH)):
        rsa_public.verify(rsa.sign(data, scheme, hashes.SHA384()), data, scheme, hashes.SHA384())
    elliptic = hsm.private_key(hsm.generate_key("ec-p384").id)
    elliptic_public = elliptic.public_key()
    assert isinstance(elliptic_public, ec.EllipticCurvePublicKey)
    elliptic_public.verify(elliptic.sign(data, ec.ECDSA(hashes.SHA512())), data, ec.ECDSA(hashes.SHA512()))
    edwards = hsm.private_key(hsm.generate_key("ed25519").id)
    edwards_public = edwards.public_key()
    assert isinstance(edwards_public, Ed25519PublicKey)
    edwards_public.verify(edwards.sign(data), data)


def test_many_threads_use_one_client(hsm: sync.Hsm) -> None:
    key = hsm.generate_key("ec-p256")
    failed: list[Exception] = []

    def work() -> None:
        try:
            for number in range(20):
                data = b"%d" % number
                key.verify(data=data, signature=key.sign(data, "ecdsa-sha256"), mechanism="ecdsa-sha256")
        except Exception as error:  # noqa: BLE001 - whatever a thread sees is a failure of this test
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
