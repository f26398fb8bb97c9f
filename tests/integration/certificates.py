"""A certificate authority for tests: SPIFFE identities, written as PEM files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Identity:
    """One end of a TLS connection: who it trusts, its certificate and its key."""

    ca: Path
    certificate: Path
    key: Path

    def as_toml(self) -> str:
        """Return the value of a daemon's `tls`."""
        return f'{{ ca = "{self.ca}", certificate = "{self.certificate}", key = "{self.key}" }}'


class Authority:
    """Issues certificates that live for an hour (or `lifetime`), into one folder."""

    def __init__(self, folder: Path, lifetime: timedelta = timedelta(hours=1)) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.lifetime = lifetime
        self.age = timedelta(minutes=5)
        """For how long a certificate has been valid when it is issued: clocks may differ a little."""
        self.path = folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True
        )
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, identity: str, name: str, addresses: Sequence[str] = (), common_name: str = "") -> Identity:
        """Write NAME.pem and NAME-key.pem for that SPIFFE identity, and for IP addresses where they count.

        `common_name`: another one than that name.
        """
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity)]
        names += [x509.IPAddress(ip_address(address)) for address in addresses]
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or name)])
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(authority_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        made = Identity(self.path, self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        made.key.touch(mode=0o600)
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return made

    def _builder(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - self.age)
            .not_valid_after(now + self.lifetime)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )
