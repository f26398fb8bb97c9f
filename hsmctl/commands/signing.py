"""hsmctl sign and verify."""

import base64
from typing import Final

import click

from hsm_client.errors import BadSignature, TooLarge
from hsm_wire.key_types import Family
from hsm_wire.limits import DEFAULT_MAX_FRAME_BYTES
from hsm_wire.mechanisms import HASH_NAMES, MECHANISM_BY_ALIAS
from hsm_wire.parameters import MlDsaParameters
from hsmctl.failures import CommandError, wants_fitting_file
from hsmctl.files import one_standard_input, raw_output, read_input, read_or_hash, shown, too_large, write_output
from hsmctl.mechanism_names import SIGNERS, MechanismName
from hsmctl.octets import Octets
from hsmctl.session import Session, cluster_options

MAX_CONTEXT_BYTES: Final = 255
"""FIPS 204, section 5.2."""

_key = click.option("--key", "name", required=True, metavar="KEY", help="Id or label.")
_mechanism = click.option(
    "--mechanism", required=True, type=MechanismName(SIGNERS), metavar="M",
    help=f"One of {', '.join(SIGNERS)}.",
)  # fmt: skip
_source = click.option("--in", "source", required=True, metavar="F", help="File with the data; - is standard input.")
_prehashed = click.option("--prehashed", is_flag=True, help="The file holds the digest, not the data.")
_context = click.option(
    "--context", type=Octets(), default=b"", metavar="TEXT",
    help="For ml-dsa: what the signature is for; text, or hex:00ff.",
)  # fmt: skip
_ADVICE = "sign a digest of it as the data, or use an RSA or EC key: for those files are hashed here"


def _wants_context(mechanism: str, context: bytes) -> None:
    if context and MECHANISM_BY_ALIAS[mechanism].parameters is not MlDsaParameters:
        raise click.UsageError(f"--context goes with ml-dsa; leave it out with {mechanism}.")
    if len(context) > MAX_CONTEXT_BYTES:
        raise click.UsageError(f"--context has {len(context)} bytes; at most {MAX_CONTEXT_BYTES} are taken.")


def local_hash(mechanism: str) -> str | None:
    """Return the name of the hash that may be computed here for a mechanism, None where it wants the whole data."""
    row = MECHANISM_BY_ALIAS[mechanism]
    hashable = row.families in ((Family.RSA,), (Family.EC,)) and not row.digest_input
    return HASH_NAMES.get(row.hash_mechanism) if hashable else None


def _read(source: str, mechanism: str, prehashed: bool) -> tuple[bytes, bool]:
    """Return what is to be signed, and whether it is a digest: what no request can carry is hashed in pieces.

    What one can carry goes whole to the library, which hashes it where the key's policy allows that.
    """
    hash_name = local_hash(mechanism)
    if prehashed or hash_name is None:
        return read_input(source, _ADVICE), prehashed
    return read_or_hash(source, hash_name, DEFAULT_MAX_FRAME_BYTES)


@click.command()
@_key
@_mechanism
@_source
@click.option("--out", metavar="F", help="File for the signature; - is standard output, also if it is a terminal.")
@_prehashed
@_context
@cluster_options
def sign(
    session: Session, name: str, mechanism: str, source: str, out: str | None, prehashed: bool, context: bytes
) -> None:
    """Sign a file, or make its MAC. ECDSA signatures are DER, all others raw.

    Example: hsmctl sign --key tls --mechanism ecdsa-sha256 --in report.pdf --out report.sig
    """
    _wants_context(mechanism, context)
    target = raw_output(out, session.out.as_json)
    data, digest = _read(source, mechanism, prehashed)
    with session.cluster() as cluster, wants_fitting_file():
        try:
            signature = cluster.key(name).sign(data, mechanism, prehashed=digest, context=context)
        except TooLarge:
            raise too_large(source, f"{len(data)} bytes", _ADVICE) from None
    if target != "-" or not session.out.as_json:
        write_output(target, signature)
    session.out.result({"key": name, "mechanism": mechanism, "signature": base64.b64encode(signature).decode()})


@click.command()
@_key
@_mechanism
@_source
@click.option("--signature", required=True, metavar="F", help="File with the signature; - is standard input.")
@_prehashed
@_context
@cluster_options
def verify(
    session: Session, name: str, mechanism: str, source: str, signature: str, prehashed: bool, context: bytes
) -> None:
    """Check a signature or MAC, also of an earlier version of the key; exit 0 only if it is good.

    Example: hsmctl verify --key tls --mechanism ecdsa-sha256 --in report.pdf --signature report.sig
    """
    _wants_context(mechanism, context)
    one_standard_input(source, signature)
    (data, digest), given = _read(source, mechanism, prehashed), read_input(signature)
    with session.cluster() as cluster:
        try:
            cluster.key(name).verify(data, given, mechanism, prehashed=digest, context=context)
        except TooLarge:
            raise too_large(source, f"{len(data)} bytes", _ADVICE) from None
        except BadSignature:
            session.out.result({"key": name, "mechanism": mechanism, "valid": False})
            raise CommandError(
                f"the signature is not one of {shown(source)} by {name}; do not trust the data"
            ) from None
    session.out.result({"key": name, "mechanism": mechanism, "valid": True}, "the signature is good")
