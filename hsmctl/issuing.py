"""Certificates and requests, made with whatever private key object signs them: here, one in the cluster."""

import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from hsmctl.failures import USAGE, CommandError

BACKDATED: Final = datetime.timedelta(minutes=5)
"""The clocks of those who check are not exactly ours."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
CertifiedKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
_TYPES: Final = "RSA, EC, Ed25519 or Ed448"


def able_to_sign(key: PrivateKey | x25519.X25519PrivateKey, name: str) -> PrivateKey:
    """Return the key, if it is of a type that signs."""
    if isinstance(key, x25519.X25519PrivateKey):
        raise CommandError(f"{name} does not do: a key of type x25519 signs nothing; name one of type {_TYPES}")
    return key


def hash_for(key: PrivateKey) -> hashes.SHA256 | None:
    """Return the hash to sign with; Ed25519 and Ed448 have their own."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()


def make_request(key: PrivateKey, subject: x509.Name, names: x509.SubjectAlternativeName | None) -> bytes:
    """Return a certificate signing request, PEM."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hash_for(key)).public_bytes(serialization.Encoding.PEM)


def make_certificate(
    key: PrivateKey,
    subject: x509.Name,
    public_key: CertifiedKey,
    *,
    now: datetime.datetime,
    days: int,
    issuer: x509.Certificate | None = None,
    names: x509.SubjectAlternativeName | None = None,
    ca: bool = False,
) -> bytes:
    """Return a certificate for `public_key`, signed by `key`, PEM; without an issuer it is self-signed."""
    issuer_key = issuer.public_key() if issuer is not None else public_key
    if not isinstance(issuer_key, CertifiedKey):
        raise CommandError(f"the CA's key cannot sign certificates; use one of type {_TYPES}", USAGE)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(_key_usage(ca=ca, rsa_key=isinstance(public_key, rsa.RSAPublicKey)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )
    if not ca:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hash_for(key)).public_bytes(serialization.Encoding.PEM)


def load_request(data: bytes, source: str) -> x509.CertificateSigningRequest:
    """Return the request in a file whose signature is good."""
    try:
        load = x509.load_pem_x509_csr if b"-----BEGIN" in data else x509.load_der_x509_csr
        request = load(data)
        good = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise CommandError(f"{source} is no certificate signing request; make one with `hsmctl csr`", USAGE) from None
    if not good:
        raise CommandError(f"the signature of {source} is bad: who made it does not have the key; make it anew", USAGE)
    return request


def load_certificate(data: bytes, source: str) -> x509.Certificate:
    """Return the certificate in a file."""
    try:
        return (x509.load_pem_x509_certificate if b"-----BEGIN" in data else x509.load_der_x509_certificate)(data)
    except ValueError:
        raise CommandError(f"{source} is no certificate in PEM or DER; name one that is", USAGE) from None


def load_authority(data: bytes, source: str) -> x509.Certificate:
    """Return the certificate in a file, if it is a CA's."""
    certificate = load_certificate(data, source)
    try:
        ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        ca = False
    if not ca:
        raise CommandError(f"{source} is not the certificate of a CA; make one with `hsmctl cert ca`", USAGE)
    return certificate


def key_of(request: x509.CertificateSigningRequest, source: str) -> CertifiedKey:
    """Return the key that a request is for, if it is of a type that we certify."""
    key = request.public_key()
    if not isinstance(key, CertifiedKey):
        raise CommandError(f"the key of {source} is not certified here; make one of type {_TYPES}", USAGE)
    return key


def names_of(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    """Return the alternative names that a request asks for."""
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _key_usage(*, ca: bool, rsa_key: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=rsa_key and not ca,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
