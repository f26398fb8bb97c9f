"""hsmctl key: keys in the cluster, made, listed and shown. What changes or uses them has modules of its own."""

import click
from cryptography.hazmat.primitives import serialization

from hsm_client.new_keys import NewKey
from hsmctl.commands.key_changes import destroy, disable, enable, rotate, update
from hsmctl.commands.key_derivation import decapsulate, derive, encapsulate
from hsmctl.commands.key_wrapping import unwrap, wrap
from hsmctl.failures import PUBLIC_TYPES, wants_fitting_file, wants_key_pair
from hsmctl.files import raw_output, read_input, write_output
from hsmctl.key_descriptions import NOT_REPLICATED, describe, state_of, text_of
from hsmctl.key_material import material_of
from hsmctl.key_options import KEY_TYPE, makes_key
from hsmctl.session import Session, cluster_options


@click.group()
def key() -> None:
    """Make, show and change keys. KEY is an id or a label.

    Example: hsmctl key generate --type ec-p256 --label tls
    """


for _command in (decapsulate, derive, destroy, disable, enable, encapsulate, rotate, unwrap, update, wrap):
    key.add_command(_command)


@key.command()
@click.option("--type", "key_type", required=True, type=KEY_TYPE, metavar="T", help="rsa-3072, ec-p256, ed25519...")
@makes_key()
@cluster_options
def generate(session: Session, key_type: str, new: NewKey) -> None:
    """Make a key; prints its id.

    Example: hsmctl key generate --type rsa-3072 --label ca --max-uses 1000 --destruction-wait 7d
    """
    with session.cluster() as cluster:
        made = cluster.generate_key(key_type, **new)
        session.out.result(describe(made.info), made.id)


@key.command("list")
@click.option("--label", metavar="L", help="Only keys with this label.")
@click.option("--type", "key_type", type=KEY_TYPE, metavar="T", help="Only keys of this type.")
@cluster_options
def list_keys(session: Session, label: str | None, key_type: str | None) -> None:
    """List keys.

    Example: hsmctl key list --type ec-p256
    """
    with session.cluster() as cluster:
        found = [each.info for each in cluster.find_keys(label=label, key_type=key_type)]
    documents = [describe(info) for info in found]
    rows = [
        [shown["id"], shown["type"], shown["label"], state_of(info), _minute(shown["created"])]
        for shown, info in zip(documents, found, strict=True)
    ]
    session.out.table(documents, ["id", "type", "label", "state", "created (UTC)"], rows)


def _minute(created: str) -> str:
    return created[: len("2026-01-31T12:00")].replace("T", " ")


@key.command()
@click.argument("name", metavar="KEY")
@cluster_options
def show(session: Session, name: str) -> None:
    """Show what is known about a key: policy, scheduled destruction and versions too.

    Example: hsmctl key show tls
    """
    with session.cluster() as cluster:
        info = cluster.key(name).info
    session.out.result(describe(info), text_of(info))


@key.command()
@click.argument("name", metavar="KEY")
@click.option("--out", metavar="F", help="File to write; - is standard output.")
@click.option(
    "--format", "form", type=click.Choice(["pem", "der"]), default="pem", show_default=True, help="Text or bytes."
)
@cluster_options
def public(session: Session, name: str, out: str | None, form: str) -> None:
    """Write the public key (SubjectPublicKeyInfo).

    Example: hsmctl key public tls --out tls-public.pem
    """
    target = raw_output(out, session.out.as_json) if form == "der" else out or "-"
    with session.cluster() as cluster, wants_key_pair(name, PUBLIC_TYPES):
        found = cluster.key(name).public_key()
    encoding = serialization.Encoding.PEM if form == "pem" else serialization.Encoding.DER
    data = found.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    pem = found.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if target != "-" or not session.out.as_json:
        write_output(target, data)
    session.out.result({"key": name, "public_key": pem.decode()})


@key.command("import")
@click.option("--type", "key_type", type=KEY_TYPE, metavar="T", help="Needed for secret keys; else read from the file.")
@click.option("--in", "source", required=True, metavar="F", help="Private key (PEM or DER), or a secret key's bytes.")
@makes_key()
@cluster_options
def import_key(session: Session, key_type: str | None, source: str, new: NewKey) -> None:
    """Bring a key into the cluster; prints its id.

    Example: hsmctl key import --in old-key.pem --label old
    """
    found_type, material = material_of(read_input(source), key_type)
    with session.cluster() as cluster, wants_fitting_file():
        made = cluster.import_key(found_type, material, **new)
        session.out.result(describe(made.info), made.id)


@key.command()
@click.option("--type", "key_type", required=True, type=KEY_TYPE, metavar="T", help="rsa-3072, ec-p256, ed25519...")
@click.option("--object", "device_object", required=True, metavar="L", help="Its label in the device.")
@makes_key()
@cluster_options
def adopt(session: Session, key_type: str, device_object: str, new: NewKey) -> None:
    """Use a key that is in a node's device and cannot be wrapped; prints its id.

    node.toml of that node names the object under [backend] adopt. The key signs and verifies there, and is not
    replicated.

    Example: hsmctl key adopt --type ed25519 --object legacy-tls --label legacy
    """
    with session.cluster() as cluster:
        made = cluster.adopt_key(key_type, device_object, **new)
        session.out.result(describe(made.info), made.id)
    session.out.note(f"{made.info.adopted_at} alone has this key; {NOT_REPLICATED}")
