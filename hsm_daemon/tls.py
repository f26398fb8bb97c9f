"""TLS 1.3 contexts, and who the peer is.

Identities are SPIFFE ids in the certificate's URI SAN, so host names are not checked: the caller compares the id.
"""

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from hsm_daemon.errors import StartError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the CA that peers are checked against, this end's chain and its key."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """What a peer's certificate says."""

    identity: str
    """SPIFFE id."""
    certificate_sha256: bytes
    not_after: int
    """Seconds since 1970."""


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that asks every client for a certificate of the CA.

    Raises:
        StartError: a file is missing, unreadable, expired, or does not fit the others.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    # Resumed sessions would skip the client's certificate; a proxy has few, long connections and needs none.
    context.num_tickets = 0
    return _load(context, files)


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that checks the server against the CA and shows this end's certificate.

    Raises:
        StartError: as for `server_context`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return _load(context, files)


def _load(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    for path in (files.ca, files.certificate, files.key):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise StartError(f"TLS file {path}: {error.strerror}; name an existing, readable file") from None
    check_certificate(files.certificate, datetime.now(UTC))
    try:
        context.load_verify_locations(cafile=files.ca)
    except (ssl.SSLError, OSError):
        raise StartError(f"TLS file {files.ca} holds no PEM certificate; name the CA's file") from None
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (ssl.SSLError, OSError):
        raise StartError(
            f"TLS key {files.key} is not the private key of {files.certificate}; name the two that belong together"
        ) from None
    return context


def check_certificate(path: Path, at: datetime) -> None:
    """Check that a PEM certificate can be read and is valid at that time.

    Raises:
        StartError: it is not.
    """
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise StartError(f"TLS file {path} holds no PEM certificate; name the certificate's file") from None
    if certificate.not_valid_after_utc <= at:
        raise StartError(f"certificate {path} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M}; renew it")
    if certificate.not_valid_before_utc > at:
        raise StartError(
            f"certificate {path} is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M}; check this clock"
        )


def peer_identity(transport: asyncio.BaseTransport) -> PeerIdentity | None:
    """Return who the peer is, or None without TLS or where the certificate has not exactly one URI SAN."""
    ssl_object = transport.get_extra_info("ssl_object")
    encoded = None if ssl_object is None else ssl_object.getpeercert(binary_form=True)
    return None if encoded is None else identity_of(encoded)


def identity_of(certificate_der: bytes) -> PeerIdentity | None:
    """Return the identity of a DER certificate, or None where it has not exactly one SPIFFE URI SAN."""
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound):
        return None
    if len(uris) != 1 or not uris[0].startswith("spiffe://"):
        return None
    return PeerIdentity(
        uris[0], hashlib.sha256(certificate_der).digest(), int(certificate.not_valid_after_utc.timestamp())
    )
