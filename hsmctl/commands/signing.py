"""hsmctl sign and verify."""

import base64

import click

from hsm_client.errors import BadSignature
from hsm_wire.mechanisms import MECHANISM_BY_ALIAS
from hsm_wire.usages import Usage
from hsmctl.failures import CommandError
from hsmctl.files import read_input, write_output
from hsmctl.session import Session, cluster_options

SIGNING_NAMES = [alias for alias, row in MECHANISM_BY_ALIAS.items() if row.usages & Usage.SIGN]
_key = click.option("--key", "name", required=True, metavar="KEY", help="Id or label.")
_mechanism = click.option(
    "--mechanism", required=True, type=click.Choice(SIGNING_NAMES), metavar="M",
    help=f"One of {', '.join(SIGNING_NAMES)}.",
)  # fmt: skip
_source = click.option("--in", "source", required=True, metavar="F", help="File with the data; - is standard input.")
_prehashed = click.option("--prehashed", is_flag=True, help="The file holds the digest, not the data.")


@click.command()
@_key
@_mechanism
@_source
@click.option("--out", default="-", metavar="F", help="File for the signature; - is standard output.")
@_prehashed
@cluster_options
def sign(session: Session, name: str, mechanism: str, source: str, out: str, prehashed: bool) -> None:
    """Sign a file, or make its MAC. ECDSA signatures are DER, all others raw.

    Example: hsmctl sign --key tls --mechanism ecdsa-sha256 --in report.pdf --out report.sig
    """
    data = read_input(source)
    with session.cluster() as cluster:
        signature = cluster.key(name).sign(data, mechanism, prehashed=prehashed)
    if out != "-" or not session.out.as_json:
        write_output(out, signature)
    session.out.result({"key": name, "mechanism": mechanism, "signature": base64.b64encode(signature).decode()})


@click.command()
@_key
@_mechanism
@_source
@click.option("--signature", required=True, metavar="F", help="File with the signature.")
@_prehashed
@cluster_options
def verify(session: Session, name: str, mechanism: str, source: str, signature: str, prehashed: bool) -> None:
    """Check a signature or MAC; exit 0 only if it is good.

    Example: hsmctl verify --key tls --mechanism ecdsa-sha256 --in report.pdf --signature report.sig
    """
    data, given = read_input(source), read_input(signature)
    with session.cluster() as cluster:
        try:
            cluster.key(name).verify(data, given, mechanism, prehashed=prehashed)
        except BadSignature:
            session.out.result({"key": name, "mechanism": mechanism, "valid": False})
            raise CommandError(f"the signature is not one of {source} by {name}; do not trust the data") from None
    session.out.result({"key": name, "mechanism": mechanism, "valid": True}, "the signature is good")
