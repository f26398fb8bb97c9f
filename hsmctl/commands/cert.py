"""hsmctl cert: certificates signed by keys in the cluster."""

import datetime

import click
from cryptography import x509

from hsmctl.distinguished_names import alternative_names, subject_of
from hsmctl.failures import USAGE, CommandError, wants_key_pair
from hsmctl.files import one_standard_input, read_input, write_output
from hsmctl.issuing import able_to_sign, key_of, load_authority, load_request, make_certificate, names_of
from hsmctl.session import Session, cluster_options

MAX_DAYS = 36_500

_subject = click.option("--subject", required=True, metavar="DN", help="For example CN=www.example.org,O=Example.")
_sans = click.option("--san", "sans", multiple=True, metavar="dns:NAME", help="dns:, ip:, uri: or email:; repeatable.")
_out = click.option("--out", default="-", metavar="F", help="File to write; - is standard output.")
_key = click.option("--key", "name", required=True, metavar="KEY", help="Id or label.")


@click.group()
def cert() -> None:
    """Make certificates (X.509, PEM).

    Example: hsmctl cert ca --key ca --subject "CN=My CA" --out ca.pem
    """


def _write(session: Session, out: str, data: bytes) -> None:
    if out != "-" or not session.out.as_json:
        write_output(out, data)
    session.out.result({"certificate": data.decode()})


def _self_signed(
    session: Session, name: str, subject: x509.Name, names: x509.SubjectAlternativeName | None, days: int, ca: bool
) -> bytes:
    with session.cluster() as cluster, wants_key_pair(name):
        key = able_to_sign(cluster.private_key(name), name)
        return make_certificate(key, subject, key.public_key(), now=_now(), days=days, names=names, ca=ca)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@cert.command("self-signed")
@_key
@_subject
@_sans
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=90, show_default=True, help="How long it is valid.")
@_out
@cluster_options
def self_signed(session: Session, name: str, subject: str, sans: tuple[str, ...], days: int, out: str) -> None:
    """Make a server's certificate signed by its own key.

    Example: hsmctl cert self-signed --key tls --subject CN=localhost --san dns:localhost --out tls.pem
    """
    data = _self_signed(session, name, subject_of(subject), alternative_names(sans), days, ca=False)
    _write(session, out, data)


@cert.command()
@_key
@_subject
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=3650, show_default=True, help="How long it is valid.")
@_out
@cluster_options
def ca(session: Session, name: str, subject: str, days: int, out: str) -> None:
    """Make the certificate of a certificate authority whose key is in the cluster.

    Example: hsmctl cert ca --key ca --subject "CN=My CA" --out ca.pem
    """
    _write(session, out, _self_signed(session, name, subject_of(subject), None, days, ca=True))


@cert.command()
@click.option("--ca-key", required=True, metavar="KEY", help="The CA's key: id or label.")
@click.option("--ca-cert", required=True, metavar="F", help="The CA's certificate.")
@click.option("--csr", "request_file", required=True, metavar="F", help="The certificate signing request.")
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=90, show_default=True, help="How long it is valid.")
@_out
@cluster_options
def issue(session: Session, ca_key: str, ca_cert: str, request_file: str, days: int, out: str) -> None:
    """Sign a certificate signing request with a CA key in the cluster; subject and names are the request's.

    Example: hsmctl cert issue --ca-key ca --ca-cert ca.pem --csr tls.csr --out tls.pem
    """
    one_standard_input(ca_cert, request_file)
    authority = load_authority(read_input(ca_cert), ca_cert)
    request = load_request(read_input(request_file), request_file)
    with session.cluster() as cluster, wants_key_pair(ca_key):
        key = able_to_sign(cluster.private_key(ca_key), ca_key)
        if key.public_key() != authority.public_key():
            raise CommandError(
                f"{ca_cert} is not the certificate of key {ca_key}; name the two that belong together", USAGE
            )
        data = make_certificate(
            key,
            request.subject,
            key_of(request, request_file),
            now=_now(),
            days=days,
            issuer=authority,
            names=names_of(request),
        )
    _write(session, out, data)
