"""TLS contexts of the nodes and of the clients: TLS 1.3, both sides with certificates, as in the product."""

import ssl
from pathlib import Path


def node_context(folder: Path, name: str) -> ssl.SSLContext:
    """Return a server's context with the certificate `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return _complete(context, folder, name)


def client_context(folder: Path) -> ssl.SSLContext:
    """Return the clients' context. Identities are SPIFFE ids, so host names are not compared."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return _complete(context, folder, "client")


def _complete(context: ssl.SSLContext, folder: Path, name: str) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / "ca.pem")
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}-key.pem")
    return context
