"""Mutual TLS: who the proxy is decides whether it gets a single request."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake_cluster import FakeProxy

from hsm_client import connect
from hsm_client.config import ClientConfig, TlsFiles, parse_address
from hsm_client.errors import ClusterUnreachable, ConfigurationError
from hsm_client.tls import TlsIdentity


class Authority:
    """Issues certificates for an hour."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign("authority", self.key.public_key(), x509.BasicConstraints(True, 0), None)
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, identity, name):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), x509.BasicConstraints(False, None), identity)
        files = TlsFiles(self.folder / "ca.pem", self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _sign(self, name, public, constraints, identity):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(constraints, critical=True)
        )
        if identity:
            names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _server(files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(files.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize(
    ("identity", "accepted"),
    [
        ("spiffe://test/proxy/p1", True),
        ("spiffe://test/node/n1", False),
        ("spiffe://other/proxy/p1", False),
        ("spiffe://test/client/c1", False),
    ],
)
async def test_only_a_proxy_of_the_own_cluster_is_spoken_to(tmp_path, identity, accepted):
    authority = Authority(tmp_path / "ca")
    client = authority.issue("spiffe://test/client/me", "client")
    proxy = await FakeProxy().start(_server(authority.issue(identity, "proxy")))
    config = ClientConfig((parse_address(proxy.address),), client)
    try:
        if accepted:
            async with connect(config) as hsm:
                assert len(await hsm.random(4)) == 4
        else:
            with pytest.raises(ClusterUnreachable, match="not our proxy"):
                async with connect(config, timeout_s=0.5, retry=False):
                    pass
            assert proxy.requests == []
    finally:
        await proxy.stop()


async def test_a_proxy_of_a_foreign_authority_is_refused(tmp_path):
    foreign = Authority(tmp_path / "foreign").issue("spiffe://test/proxy/p1", "proxy")
    client = Authority(tmp_path / "ca").issue("spiffe://test/client/me", "client")
    proxy = await FakeProxy().start(_server(foreign))
    try:
        with pytest.raises(ClusterUnreachable):
            async with connect(ClientConfig((parse_address(proxy.address),), client), timeout_s=0.5, retry=False):
                pass
    finally:
        await proxy.stop()


def test_missing_and_mismatched_files_are_named(tmp_path):
    authority = Authority(tmp_path / "ca")
    one, two = authority.issue("spiffe://t/client/a", "a"), authority.issue("spiffe://t/client/b", "b")
    with pytest.raises(ConfigurationError, match="no matching pair"):
        TlsIdentity(TlsFiles(one.ca, one.certificate, two.key))
    with pytest.raises(ConfigurationError, match=r"gone\.pem"):
        TlsIdentity(TlsFiles(one.ca, tmp_path / "gone.pem", one.key))
