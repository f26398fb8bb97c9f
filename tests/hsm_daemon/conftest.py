"""Event loops of both kinds, and certificates for real TLS on loopback."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hsm_daemon import accepting, handshake
from hsm_daemon.log_limit import LimitedLog
from hsm_daemon.tls import TlsFiles

ON_BOTH_LOOPS = ("test_accepting.py", "test_admin.py", "test_handover.py", "test_tls_opening.py")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What talks to sockets is tested on both event loops."""
    if item.path.name in ON_BOTH_LOOPS:
        return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.SelectorEventLoop}


@pytest.fixture(autouse=True)
def fresh_log_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One test's lines do not use up another's."""
    monkeypatch.setattr(handshake, "failures", LimitedLog(logging.getLogger("daemon.tls"), handshake.LINES_PER_S))
    monkeypatch.setattr(accepting, "_log", LimitedLog(logging.getLogger("daemon.accepting"), 1))


PEM = serialization.Encoding.PEM


class Authority:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("ca", self.key.public_key(), 3600, x509.BasicConstraints(True, 0))
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(PEM))

    def issue(self, name: str, uris: list[str], seconds: int = 3600, since: int = -86400) -> TlsFiles:
        """Make a certificate that is valid from `since` to `seconds`, both from now on."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.SubjectAlternativeName([x509.UniformResourceIdentifier(u) for u in uris])] if uris else []
        certificate = self._sign(
            name, key.public_key(), seconds, x509.BasicConstraints(False, None), *names, since=since
        )
        files = TlsFiles(self.folder / "ca.pem", self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        files.certificate.write_bytes(certificate.public_bytes(PEM))
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        files.key.touch(mode=0o600)
        files.key.write_bytes(key.private_bytes(PEM, form, plain))
        return files

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        seconds: int,
        *extensions: x509.ExtensionType,
        since: int = -86400,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(seconds=since))
            .not_valid_after(now + timedelta(seconds=seconds))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Callable[[str], Authority]:
    """Make an authority of its own folder."""
    return lambda name: Authority(tmp_path / name)


@pytest.fixture(scope="session")
def lasting_authority(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Authority]:
    """Make an authority that more than one test, or more than one example, uses."""
    return lambda name: Authority(tmp_path_factory.mktemp(name))
