"""Mutual TLS 1.3, and who the other end is: a certificate's one URI SAN, spiffe://CLUSTER/ROLE/NAME."""

import datetime
import re
import ssl

from cryptography import x509

from hsm_client.config import TlsFiles
from hsm_client.errors import ConfigurationError
from hsm_client.tls_faults import expired

IDENTITY = re.compile(r"spiffe://([a-zA-Z0-9._-]{1,255})/([a-z]{1,32})/([a-zA-Z0-9._-]{1,128})")


class TlsIdentity:
    """This client's TLS: the context, and the cluster that its own certificate names."""

    __slots__ = ("cluster", "context", "identity")

    def __init__(self, files: TlsFiles) -> None:
        self.context = _context(files)
        self.identity = _own_identity(files)
        match = IDENTITY.fullmatch(self.identity)
        if match is None:
            raise ConfigurationError(
                f"{files.certificate}: {self.identity!r} is no spiffe://CLUSTER/client/NAME; issue a new certificate"
            )
        self.cluster = match[1]

    def proxy_fault(self, certificate_der: bytes | None) -> str | None:
        """Return why the other end is no proxy of this cluster, or None."""
        identity = certificate_identity(certificate_der) if certificate_der else None
        match = IDENTITY.fullmatch(identity or "")
        if match is not None and match[1] == self.cluster and match[2] == "proxy":
            return None
        return f"it is {identity or 'without an identity'}, not spiffe://{self.cluster}/proxy/NAME"


def certificate_identity(der: bytes) -> str | None:
    """Return the URI SAN of a certificate that has exactly one."""
    return _identity_of(x509.load_der_x509_certificate(der))


def _identity_of(certificate: x509.Certificate) -> str | None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if len(uris) == 1 else None


def _own_identity(files: TlsFiles) -> str:
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    except (OSError, ValueError):
        raise ConfigurationError(f"{files.certificate} is no PEM certificate; issue a new one") from None
    if certificate.not_valid_after_utc <= datetime.datetime.now(datetime.UTC):
        raise expired(str(files.certificate), certificate.not_valid_after_utc)
    identity = _identity_of(certificate)
    if identity is None:
        raise ConfigurationError(f"{files.certificate} has no SPIFFE identity (one URI SAN); issue a new one")
    return identity


def _context(files: TlsFiles) -> ssl.SSLContext:
    for path in (files.ca, files.certificate, files.key):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}; check client.toml") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # Who a proxy is says its SPIFFE identity, which proxy_fault checks.
    try:
        context.load_verify_locations(files.ca)
    except ssl.SSLError:
        raise ConfigurationError(f"{files.ca} is no PEM file of certificates; check client.toml") from None
    try:
        context.load_cert_chain(files.certificate, files.key, password="")
    except (ssl.SSLError, ValueError):
        raise ConfigurationError(
            f"{files.certificate} and {files.key} are no matching pair in PEM without a password; check client.toml"
        ) from None
    return context
