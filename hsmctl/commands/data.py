"""hsmctl encrypt and decrypt.

The file that `encrypt` writes is the initialisation vector (12 bytes for aes-gcm, 16 for the other modes of AES, none
for RSA) followed by the ciphertext, for aes-gcm with its 16-byte tag at the end: iv || ciphertext || tag, raw bytes,
nothing else.
"""

import base64
from typing import Final

import click

from hsm_client.errors import TooLarge
from hsm_wire.mechanisms import MECHANISM_BY_ALIAS
from hsm_wire.parameters import CtrParameters, GcmParameters, IvParameters
from hsmctl.failures import USAGE, CommandError, wants_fitting_file
from hsmctl.files import one_standard_input, raw_output, read_input, shown, too_large, write_output
from hsmctl.mechanism_names import CIPHERS, MechanismName
from hsmctl.session import Session, cluster_options

IV_BYTES: Final = {
    alias: iv_bytes
    for alias, row in MECHANISM_BY_ALIAS.items()
    for form, iv_bytes in ((GcmParameters, 12), (IvParameters, 16), (CtrParameters, 16))
    if row.parameters is form
}
"""How long the initialisation vector before the ciphertext is, where there is one."""
REST_BYTES: Final = {"aes-gcm": 16, "aes-cbc-pad": 16}
"""What follows it at least, however short the plaintext: GCM's tag, or a block of padding."""
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


def _read(source: str, aad: str | None, mechanism: str) -> tuple[bytes, bytes]:
    if aad is not None and mechanism != "aes-gcm":
        raise click.UsageError(f"--aad goes with aes-gcm; {mechanism} authenticates nothing beside the data.")
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
    """Encrypt a file. The output is raw: iv || ciphertext || tag for aes-gcm, iv || ciphertext for other modes of AES.

    Only aes-gcm notices when its output was changed.

    Example: hsmctl encrypt --key store --in plain.txt --out secret.bin
    """
    target = raw_output(out, session.out.as_json)
    data, beside = _read(source, aad, mechanism)
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
    """Decrypt what `hsmctl encrypt` wrote, with aes-gcm and rsa-oaep also what the key's earlier versions encrypted.

    For the other mechanisms name the version that encrypted by its id.

    Example: hsmctl decrypt --key store --in secret.bin --out plain.txt
    """
    data, beside = _read(source, aad, mechanism)
    iv_bytes = IV_BYTES.get(mechanism, 0)
    iv, ciphertext = data[:iv_bytes], data[iv_bytes:]
    if len(data) < iv_bytes + REST_BYTES.get(mechanism, 0):
        raise CommandError(f"{shown(source)} is too short to be what encrypt writes with {mechanism}", USAGE)
    with session.cluster() as cluster:
        try:
            plain = cluster.key(name).decrypt(ciphertext, mechanism, iv=iv, aad=beside)
        except TooLarge:
            raise too_large(source, f"{len(data)} bytes", "name a file that `hsmctl encrypt` wrote") from None
    if out != "-" or not session.out.as_json:
        write_output(out, plain)
    session.out.result({"key": name, "mechanism": mechanism, "data": base64.b64encode(plain).decode()})
