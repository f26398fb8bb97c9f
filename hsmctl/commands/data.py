"""hsmctl encrypt and decrypt.

The file that `encrypt` writes is the initialisation vector (12 bytes for aes-gcm, none for rsa-oaep) followed by the
ciphertext, for aes-gcm with its 16-byte tag at the end: iv || ciphertext || tag, raw bytes, nothing else.
"""

import base64
from typing import Final

import click

from hsm_client.errors import TooLarge
from hsmctl.failures import USAGE, CommandError, wants_fitting_file
from hsmctl.files import one_standard_input, raw_output, read_input, shown, too_large, write_output
from hsmctl.mechanism_names import CIPHERS, MechanismName
from hsmctl.session import Session, cluster_options

IV_BYTES: Final = {"aes-gcm": 12, "rsa-oaep": 0}
"""Mechanisms, and how long the initialisation vector before the ciphertext is."""
GCM_TAG_BYTES: Final = 16
_ADVICE = "encrypt large files here with a key of their own, and encrypt that key in the cluster"

_key = click.option("--key", "name", required=True, metavar="KEY", help="Id or label.")
_mechanism = click.option(
    "--mechanism", type=MechanismName(CIPHERS), default="aes-gcm", show_default=True, metavar="M",
    help=f"One of {', '.join(CIPHERS)}.",
)  # fmt: skip
_source = click.option("--in", "source", required=True, metavar="F", help="File to read; - is standard input.")
_out = click.option("--out", default="-", metavar="F", help="File to write; - is standard output.")
_raw_out = click.option("--out", metavar="F", help="File to write; - is standard output, also if it is a terminal.")
_aad = click.option(
    "--aad", metavar="F", help="File with data that is authenticated, not encrypted; - is standard input."
)


def _read(source: str, aad: str | None) -> tuple[bytes, bytes]:
    one_standard_input(source, aad)
    return read_input(source, _ADVICE), read_input(aad, _ADVICE) if aad else b""


@click.command()
@_key
@_mechanism
@_source
@_raw_out
@_aad
@cluster_options
def encrypt(session: Session, name: str, mechanism: str, source: str, out: str | None, aad: str | None) -> None:
    """Encrypt a file. The output is raw: iv || ciphertext || tag for aes-gcm.

    Example: hsmctl encrypt --key store --in plain.txt --out secret.bin
    """
    target = raw_output(out, session.out.as_json)
    data, beside = _read(source, aad)
    with session.cluster() as cluster, wants_fitting_file():
        try:
            made = cluster.key(name).encrypt(data, mechanism, aad=beside)
        except TooLarge:
            raise too_large(source, f"{len(data)} bytes", _ADVICE) from None
    whole = made.iv + made.ciphertext
    if target != "-" or not session.out.as_json:
        write_output(target, whole)
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
    data, beside = _read(source, aad)
    iv, ciphertext = data[: IV_BYTES[mechanism]], data[IV_BYTES[mechanism] :]
    if mechanism == "aes-gcm" and len(ciphertext) < GCM_TAG_BYTES:
        raise CommandError(
            f"{shown(source)} is too short to be iv || ciphertext || tag; was it made by encrypt?", USAGE
        )
    with session.cluster() as cluster:
        try:
            plain = cluster.key(name).decrypt(ciphertext, mechanism, iv=iv, aad=beside)
        except TooLarge:
            raise too_large(source, f"{len(data)} bytes", "name a file that `hsmctl encrypt` wrote") from None
    if out != "-" or not session.out.as_json:
        write_output(out, plain)
    session.out.result({"key": name, "mechanism": mechanism, "data": base64.b64encode(plain).decode()})
