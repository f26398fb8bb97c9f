"""hsmctl key wrap and unwrap."""

import base64

import click

from hsm_client.new_keys import NewKey
from hsmctl.files import raw_output, read_input, write_output
from hsmctl.key_descriptions import describe
from hsmctl.key_options import KEY_TYPE, makes_key
from hsmctl.mechanism_names import WRAPPERS, MechanismName
from hsmctl.session import Session, cluster_options

_mechanism = click.option(
    "--mechanism", type=MechanismName(WRAPPERS), default="aes-kwp", show_default=True, metavar="M",
    help=f"One of {', '.join(WRAPPERS)}.",
)  # fmt: skip


@click.command()
@click.argument("name", metavar="KEY")
@click.option("--with", "wrapping", required=True, metavar="WRAPPING", help="The key that encrypts it: id or label.")
@_mechanism
@click.option("--out", metavar="F", help="File to write; - is standard output, also if it is a terminal.")
@cluster_options
def wrap(session: Session, name: str, wrapping: str, mechanism: str, out: str | None) -> None:
    """Write a key's material, encrypted by another key. KEY must have been made with --exportable.

    Private keys are wrapped as PKCS#8, secret keys as they are; the output is raw.

    Example: hsmctl key wrap tls --with transport --mechanism aes-kwp --out tls.wrapped
    """
    target = raw_output(out, session.out.as_json)
    with session.cluster() as cluster:
        wrapped = cluster.key(wrapping).wrap(cluster.key(name), mechanism)
    if target != "-" or not session.out.as_json:
        write_output(target, wrapped)
    session.out.result(
        {"key": name, "with": wrapping, "mechanism": mechanism, "wrapped": base64.b64encode(wrapped).decode()}
    )


@click.command()
@click.option("--with", "unwrapping", required=True, metavar="KEY", help="The key that decrypts it: id or label.")
@_mechanism
@click.option("--type", "key_type", required=True, type=KEY_TYPE, metavar="T", help="What the wrapped key is.")
@click.option("--in", "source", required=True, metavar="F", help="The wrapped key; - is standard input.")
@makes_key(names=("--allow-mechanism",))
@cluster_options
def unwrap(session: Session, unwrapping: str, mechanism: str, key_type: str, source: str, new: NewKey) -> None:
    """Bring a wrapped key into the cluster; prints its id.

    Example: hsmctl key unwrap --with transport --type ec-p256 --in tls.wrapped --label tls
    """
    wrapped = read_input(source)
    with session.cluster() as cluster:
        made = cluster.unwrap_key(wrapped, cluster.key(unwrapping), mechanism, key_type, **new)
        session.out.result(describe(made.info), made.id)
