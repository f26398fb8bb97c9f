"""Mutual TLS: who the proxy is decides whether it gets a single request."""

import asyncio
import contextlib
import socket
import ssl
import threading
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
        certificate = self._sign(
            f"authority {folder}"[-60:], self.key.public_key(), x509.BasicConstraints(True, 0), None
        )
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, identity, name, hours=1):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), x509.BasicConstraints(False, None), identity, hours)
        files = TlsFiles(self.folder / "ca.pem", self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _sign(self, name, public, constraints, identity, hours=1):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {self.folder}"[-60:])]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(hours=hours))
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
        with pytest.raises(ClusterUnreachable, match="of another CA than `ca` in client"):
            async with connect(ClientConfig((parse_address(proxy.address),), client), timeout_s=0.5, retry=False):
                pass
    finally:
        await proxy.stop()


async def test_a_proxy_that_refuses_our_certificate_is_no_unreachable_one_and_says_so_at_once(tmp_path):
    authority, foreign = Authority(tmp_path / "ca"), Authority(tmp_path / "foreign")
    client = foreign.issue("spiffe://test/client/me", "client")
    files = TlsFiles(authority.folder / "ca.pem", client.certificate, client.key)
    # A blocking server: that of asyncio closes without sending why.
    listener = socket.create_server(("127.0.0.1", 0))
    context = _server(authority.issue("spiffe://test/proxy/p1", "proxy"))
    refusing = threading.Thread(target=_refuse_all, args=(listener, context))
    refusing.start()
    address = parse_address(f"127.0.0.1:{listener.getsockname()[1]}")
    try:
        with pytest.raises(ConfigurationError, match="a CA that the proxy does not know; use one") as caught:
            async with asyncio.timeout(2), connect(ClientConfig((address,), files)):
                pass
        assert "_ssl.c" not in str(caught.value)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        refusing.join()
        listener.close()


def _refuse_all(listener, context):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.settimeout(1)
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
            pass
        connection.close()


def test_an_expired_certificate_is_said_with_its_date_and_how_to_renew_it(tmp_path):
    files = Authority(tmp_path / "ca").issue("spiffe://test/client/me", "client", hours=-1)
    with pytest.raises(ConfigurationError, match=r"client\.pem expired on 2\d\d\d-.* UTC; run `hsmctl dev` again"):
        TlsIdentity(files)


def test_missing_and_mismatched_files_are_named(tmp_path):
    authority = Authority(tmp_path / "ca")
    one, two = authority.issue("spiffe://t/client/a", "a"), authority.issue("spiffe://t/client/b", "b")
    with pytest.raises(ConfigurationError, match="no matching pair"):
        TlsIdentity(TlsFiles(one.ca, one.certificate, two.key))
    with pytest.raises(ConfigurationError, match=r"gone\.pem"):
        TlsIdentity(TlsFiles(one.ca, tmp_path / "gone.pem", one.key))
