"""TLS 1.3 on both hops: contexts from files, and who is at the other end."""

import os
import ssl
import stat
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from hsm_daemon import clock, logs
from hsm_daemon.errors import StartError

MAX_PEM_BYTES = 1 << 20  # a bundle of hundreds of authorities is below this
REMEMBERED_CERTIFICATES = 256  # of which it is known who has them: to read one takes a tenth of a handshake
OPEN_KEY_BITS = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP  # what nobody but the owner should be able to do with a key

_log = logs.logger("daemon.tls")


class TlsFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom we trust, who we are, and the key that proves it: PEM files.

    A key that others can read is served with, and a warning: it may be on its way to its right place. Its group may
    read it, since systemd shows its credentials as 0440.
    """

    ca: Path
    """Whom we trust."""
    certificate: Path
    """Who we are: its URI SAN is `spiffe://CLUSTER/node/NAME`, or a proxy's."""
    key: Path
    """The key that proves it, without a password; nobody else should read it (0400)."""


class TlsLimits(NamedTuple):
    """How long a connection may take to begin and to end."""

    handshake_s: float
    closing_s: float
    """From our close_notify to the peer's."""


class PeerIdentity(NamedTuple):
    """Who is at the other end, from its certificate."""

    identity: str
    certificate_sha256: bytes
    not_after: int  # seconds since 1970


class Certificates(NamedTuple):
    """What was made of a daemon's own files."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    identity: str
    """Who this daemon is by its certificate; empty where that says nothing."""
    not_after: int
    """When that expires: seconds since 1970, as is
    `not_before`: since when it is valid."""
    not_before: int = 0


class _Transport(Protocol):
    def get_extra_info(self, name: str, default: object = None) -> object: ...


def load_certificates(files: TlsFiles | None) -> Certificates | None:
    """Read and check the certificates, all at once, so that a daemon has a whole new set or none; None without TLS.

    Raises:
        StartError: a file is missing, bad or expired.
    """
    if files is None:
        return None
    leaf = _certificates(files.certificate, "certificate")[0]
    found = identity_of(leaf.public_bytes(serialization.Encoding.DER))
    identity = "" if found is None else found.identity
    not_before = int(leaf.not_valid_before_utc.timestamp())
    return Certificates(server_context(files), client_context(files), identity, not_after(files), not_before)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a listener: TLS 1.3 only, and no client without a certificate of our authority."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    _warn_of_open_key(files.key)  # here only: each daemon is a server, some are clients too
    context.verify_mode = ssl.CERT_REQUIRED
    # No session tickets: every connection shows its certificate, so an expired one cannot ride on an old session.
    context.num_tickets = 0
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a connecting end: TLS 1.3 only, the server's certificate checked against our authority.

    The name of a server is its SPIFFE identity and not its host: the caller compares `peer_identity`.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, files)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def peer_identity(transport: _Transport) -> PeerIdentity | None:
    """Return the peer's identity: its certificate's only URI SAN; None without TLS or with none or several."""
    connection = transport.get_extra_info("ssl_object")
    if not isinstance(connection, ssl.SSLObject | ssl.SSLSocket):
        return None
    encoded = connection.getpeercert(binary_form=True)
    return identity_of(encoded) if encoded else None


@lru_cache(maxsize=REMEMBERED_CERTIFICATES)
def identity_of(encoded: bytes) -> PeerIdentity | None:
    """Return the identity in a DER certificate; None when it has not exactly one URI SAN."""
    try:
        certificate = x509.load_der_x509_certificate(encoded)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return None
    if len(uris) != 1:
        return None
    return PeerIdentity(
        uris[0], certificate.fingerprint(hashes.SHA256()), int(certificate.not_valid_after_utc.timestamp())
    )


def not_after(files: TlsFiles) -> int:
    """Return when the first of our own certificates (the leaf's, its chain's) expires: seconds since 1970.

    The authorities' are left out: a bundle may hold an old one until it is replaced.

    Raises:
        StartError: the certificate's file is missing or bad.
    """
    certificates = _certificates(files.certificate, "certificate")
    return min(int(certificate.not_valid_after_utc.timestamp()) for certificate in certificates)


def _context(protocol: int, files: TlsFiles) -> ssl.SSLContext:
    authorities = _certificates(files.ca, "CA file")
    certificate = _certificates(files.certificate, "certificate")[0]
    _check_validity(certificate, files.certificate, "certificate")
    if len(authorities) == 1:
        _check_validity(authorities[0], files.ca, "CA certificate")
    if _key(files.key).public_key() != certificate.public_key():
        raise StartError(f"key {files.key} does not belong to certificate {files.certificate}; use the pair as issued")
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cafile=files.ca)
        # Without a password callback OpenSSL would ask for one on the terminal.
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
    except (ssl.SSLError, OSError) as error:
        reason = error.strerror or str(error)
        raise StartError(f"certificate {files.certificate} cannot be used: {reason}; issue a new one") from None
    return context


def _certificates(path: Path, what: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read_pem(path, what))
    except ValueError:
        raise StartError(f"{what} {path} is not a PEM certificate; name the right file or issue a new one") from None


def _key(path: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(read_pem(path, "key"), password=None)
    except TypeError:
        raise StartError(f"key {path} is encrypted; daemons start without a password: use an unencrypted one") from None
    except ValueError:
        raise StartError(f"key {path} is not a PEM private key; name the right file or issue a new one") from None


def _warn_of_open_key(path: Path) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # replaced at this moment: it has been read
    if mode & OPEN_KEY_BITS:
        logs.event(_log, "warning", "others can use the key's file: chmod 0400 it", key=path, mode=f"{mode:04o}")


def _without_waiting(path: str, flags: int) -> int:
    # A pipe without a writer would hold a daemon that reads its files anew, and with it all requests.
    return os.open(path, flags | os.O_NONBLOCK)


def read_pem(path: Path, what: str) -> bytes:
    """Return what is in a file of certificates or a key.

    Args:
        path: of the file.
        what: it is called in the error.

    Raises:
        StartError: it is missing, too large, not an ordinary file, or cannot be read.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise StartError(f"{what} {path} is not an ordinary file; name one")
            content = file.read(MAX_PEM_BYTES + 1)
    except FileNotFoundError:
        raise StartError(f"{what} {path} is missing; create it or correct `tls` in the configuration") from None
    except OSError as error:
        raise StartError(f"{what} {path} cannot be read: {error.strerror}; check the path and its rights") from None
    if len(content) > MAX_PEM_BYTES:
        raise StartError(f"{what} {path} is larger than {MAX_PEM_BYTES} bytes; name the right file")
    return content


def _check_validity(certificate: x509.Certificate, path: Path, what: str) -> None:
    now = clock.now()
    if certificate.not_valid_after_utc.timestamp() < now:
        until = certificate.not_valid_after_utc.isoformat()
        raise StartError(f"{what} {path} expired at {until}; issue a new one")
    if certificate.not_valid_before_utc.timestamp() > now:
        since = certificate.not_valid_before_utc.isoformat()
        raise StartError(f"{what} {path} is not valid before {since}; check this machine's clock or issue a new one")
