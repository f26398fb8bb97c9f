"""hsmctl encrypt and decrypt.

The file that `encrypt` writes is the initialisation vector (12 bytes for aes-gcm, none for rsa-oaep) followed by the
ciphertext, for aes-gcm with its 16-byte tag at the end: iv || ciphertext || tag, raw bytes, nothing else.
"""

import base64
from typing import Final

import click

from hsmctl.failures import USAGE, CommandError
from hsmctl.files import read_input, write_output
from hsmctl.session import Session, cluster_options

IV_BYTES: Final = {"aes-gcm": 12, "rsa-oaep": 0}
"""Mechanisms, and how long the initialisation vector before the ciphertext is."""
GCM_TAG_BYTES: Final = 16

_key = click.option("--key", "name", required=True, metavar="KEY", help="Id or label.")
_mechanism = click.option(
    "--mechanism", type=click.Choice(list(IV_BYTES)), default="aes-gcm", show_default=True, metavar="M",
    help=f"One of {', '.join(IV_BYTES)}.",
)  # fmt: skip
_source = click.option("--in", "source", required=True, metavar="F", help="File to read; - is standard input.")
_out = click.option("--out", default="-", metavar="F", help="File to write; - is standard output.")
_aad = click.option("--aad", metavar="F", help="File with data that is authenticated, not encrypted.")


@click.command()
@_key
@_mechanism
@_source
@_out
@_aad
@cluster_options
def encrypt(session: Session, name: str, mechanism: str, source: str, out: str, aad: str | None) -> None:
    """Encrypt a file. The output is raw: iv || ciphertext || tag for aes-gcm.

    Example: hsmctl encrypt --key store --in plain.txt --out secret.bin
    """
    data, beside = read_input(source), read_input(aad) if aad else b""
    with session.cluster() as cluster:
        made = cluster.key(name).encrypt(data, mechanism, aad=beside)
    whole = made.iv + made.ciphertext
    if out != "-" or not session.out.as_json:
        write_output(out, whole)
    session.out.result({"key": name, "mechanism": mechanism, "data": base64.b64encode(whole).decode()})


@click.command()
@_key
@_mechanism
@_source
@_out
@_aad
@cluster_options
def decrypt(session: Session, name: str, mechanism: str, source: str, out: str, aad: str | None) -> None:
    """Decrypt what `hsmctl encrypt` wrote.

    Example: hsmctl decrypt --key store --in secret.bin --out plain.txt
    """
    data, beside = read_input(source), read_input(aad) if aad else b""
    iv, ciphertext = data[: IV_BYTES[mechanism]], data[IV_BYTES[mechanism] :]
    if mechanism == "aes-gcm" and len(ciphertext) < GCM_TAG_BYTES:
        raise CommandError(f"{source} is too short to be iv || ciphertext || tag; was it made by encrypt?", USAGE)
    with session.cluster() as cluster:
        plain = cluster.key(name).decrypt(ciphertext, mechanism, iv=iv, aad=beside)
    if out != "-" or not session.out.as_json:
        write_output(out, plain)
    session.out.result({"key": name, "mechanism": mechanism, "data": base64.b64encode(plain).decode()})
