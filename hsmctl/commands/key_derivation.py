"""hsmctl key derive, encapsulate and decapsulate: keys out of keys."""

import base64
import contextlib

import click

from hsm_client.derivations import NUMBER_OF_HASH
from hsm_client.errors import HsmError
from hsm_client.new_keys import NewKey
from hsmctl.failures import CommandError, wants_fitting_file
from hsmctl.files import read_input, write_output
from hsmctl.key_descriptions import describe
from hsmctl.key_options import SECRET_TYPE, makes_key
from hsmctl.mechanism_names import DERIVERS, MechanismName
from hsmctl.octets import Octets
from hsmctl.public_keys import load_peer
from hsmctl.session import Session, cluster_options

_name = click.argument("name", metavar="KEY")
_secret_type = click.option(
    "--type", "key_type", type=SECRET_TYPE, default="secret-256", show_default=True, metavar="T",
    help="Of the new key.",
)  # fmt: skip


@click.command()
@_name
@click.option(
    "--mechanism", required=True, type=MechanismName(DERIVERS), metavar="M", help=f"One of {', '.join(DERIVERS)}."
)
@click.option("--type", "key_type", required=True, type=SECRET_TYPE, metavar="T", help="Of the new key: aes-256...")
@click.option("--peer", metavar="F", help="For ecdh: the other side's public key, PEM or DER; - is standard input.")
@click.option(
    "--hash", "hash_name", type=click.Choice(list(NUMBER_OF_HASH)), default="sha256", show_default=True, help="Of HKDF."
)
@click.option("--info", type=Octets(), default=b"", metavar="TEXT", help="What the key is for: text, or hex:00ff.")
@click.option("--salt", type=Octets(), default=b"", metavar="TEXT", help="Text, or hex:00ff.")
@makes_key(names=("--allow-mechanism",))
@cluster_options
def derive(
    session: Session,
    name: str,
    mechanism: str,
    key_type: str,
    peer: str | None,
    hash_name: str,
    info: bytes,
    salt: bytes,
    new: NewKey,
) -> None:
    """Make a secret key out of another key by HKDF (RFC 5869); prints its id.

    With ecdh, HKDF is done on the secret that KEY (EC or X25519) shares with the peer.

    Example: hsmctl key derive agree --mechanism ecdh --peer their-public.pem --type aes-256 --info session-1
    """
    if (mechanism == "ecdh") != (peer is not None):
        raise click.UsageError("--peer goes with --mechanism ecdh, and ecdh needs it.")
    other = load_peer(read_input(peer), peer) if peer is not None else None
    with session.cluster() as cluster, wants_fitting_file():
        key = cluster.key(name)
        if other is not None:
            made = key.ecdh(other, key_type, kdf_hash=hash_name, info=info, salt=salt, **new)
        else:
            made = key.hkdf(key_type, hash=hash_name, salt=salt, info=info, **new)
        session.out.result(describe(made.info), made.id)


@click.command()
@_name
@_secret_type
@click.option("--out", metavar="F", help="File for the ciphertext; with --json it is in the JSON too.")
@makes_key()
@cluster_options
def encapsulate(session: Session, name: str, key_type: str, out: str | None, new: NewKey) -> None:
    """Make a secret key that the holder of KEY (ML-KEM) can make too, from the ciphertext; prints the new key's id.

    Example: hsmctl key encapsulate kem --label shared --out shared.ciphertext
    """
    if out == "-" or (out is None and not session.out.as_json):
        raise click.UsageError("the id goes to standard output; name a file for the ciphertext with --out.")
    with session.cluster() as cluster:
        made = cluster.key(name).encapsulate(key_type, **new)
        try:
            if out is not None:
                write_output(out, made.ciphertext)
        except CommandError:
            with contextlib.suppress(HsmError):
                made.key.destroy()  # Without the ciphertext nobody else can ever make it.
            raise
    ciphertext = base64.b64encode(made.ciphertext).decode()
    session.out.result({**describe(made.key.info), "ciphertext": ciphertext}, made.key.id)


@click.command()
@_name
@_secret_type
@click.option("--in", "source", required=True, metavar="F", help="The ciphertext; - is standard input.")
@makes_key()
@cluster_options
def decapsulate(session: Session, name: str, key_type: str, source: str, new: NewKey) -> None:
    """Make the secret key that belongs to a ciphertext; prints its id.

    A ciphertext for another key gives another secret key, not an error (FIPS 203).

    Example: hsmctl key decapsulate kem --in shared.ciphertext --label shared
    """
    ciphertext = read_input(source)
    with session.cluster() as cluster, wants_fitting_file():
        made = cluster.key(name).decapsulate(ciphertext, key_type, **new)
        session.out.result(describe(made.info), made.id)
