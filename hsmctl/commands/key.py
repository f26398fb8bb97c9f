"""hsmctl key: keys in the cluster."""

import datetime
import sys
from typing import Any

import click
from cryptography.hazmat.primitives import serialization

from hsm_client.key_ids import maybe_key_id
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.limits import MAX_LABEL_CHARACTERS
from hsm_wire.messages import KeyInfo
from hsm_wire.usages import Usage
from hsmctl.failures import USAGE, CommandError, wants_fitting_file, wants_key_pair
from hsmctl.files import raw_output, read_input, write_output
from hsmctl.key_material import material_of
from hsmctl.output import pairs
from hsmctl.printable import printable
from hsmctl.session import Session, cluster_options

USAGE_NAMES = [str(usage.name).lower() for usage in Usage]
_key_type = click.Choice(list(KEY_TYPES))
_usage_option = click.option(
    "--usage", "usages", multiple=True, type=click.Choice(USAGE_NAMES), help="What the key may do; may be repeated."
)


def _checked_label(_context: click.Context, _option: click.Parameter, label: str) -> str:
    if len(label) > MAX_LABEL_CHARACTERS:
        raise click.BadParameter(f"{len(label)} characters; at most {MAX_LABEL_CHARACTERS} are taken.")
    if maybe_key_id(label) is not None:
        raise click.BadParameter(f"{label!r} would be taken for a key's id; choose other than 32 hex digits.")
    return label


_label_option = click.option("--label", default="", metavar="L", callback=_checked_label, help="A name to find it by.")


def usage_bits(names: tuple[str, ...]) -> Usage | None:
    """Return the usages of these names, None where none is named: then the type's default holds."""
    total = Usage(0)
    for name in names:
        total |= Usage[name.upper()]
    return total or None


def describe(info: KeyInfo) -> dict[str, Any]:
    """Return what may be known about a key, for JSON and for people."""
    return {
        "id": info.key_id.hex(),
        "type": info.key_type,
        "label": info.label,
        "enabled": info.enabled,
        "usage": [str(usage.name).lower() for usage in Usage if info.usage & usage],
        "version": info.version,
        "created": datetime.datetime.fromtimestamp(info.created, datetime.UTC).isoformat(),
        "origin": info.origin,
    }


def _minute(created: str) -> str:
    return created[: len("2026-01-31T12:00")].replace("T", " ")


def _for_people(document: dict[str, Any]) -> str:
    return pairs({**document, "enabled": "yes" if document["enabled"] else "no", "usage": " ".join(document["usage"])})


@click.group()
def key() -> None:
    """Make, show and change keys. KEY is an id or a label.

    Example: hsmctl key generate --type ec-p256 --label tls
    """


@key.command()
@click.option("--type", "key_type", required=True, type=_key_type, metavar="T", help="rsa-3072, ec-p256, ed25519...")
@_label_option
@_usage_option
@cluster_options
def generate(session: Session, key_type: str, label: str, usages: tuple[str, ...]) -> None:
    """Make a key; prints its id.

    Example: hsmctl key generate --type rsa-3072 --label ca
    """
    with session.cluster() as cluster:
        made = cluster.generate_key(key_type, label=label, usage=usage_bits(usages))
        session.out.result(describe(made.info), made.id)


@key.command("list")
@click.option("--label", metavar="L", help="Only keys with this label.")
@click.option("--type", "key_type", type=_key_type, metavar="T", help="Only keys of this type.")
@cluster_options
def list_keys(session: Session, label: str | None, key_type: str | None) -> None:
    """List keys.

    Example: hsmctl key list --type ec-p256
    """
    with session.cluster() as cluster:
        found = [describe(each.info) for each in cluster.find_keys(label=label, key_type=key_type)]
    rows = [[d["id"], d["type"], d["label"], "yes" if d["enabled"] else "no", _minute(d["created"])] for d in found]
    session.out.table(found, ["id", "type", "label", "enabled", "created (UTC)"], rows)


@key.command()
@click.argument("name", metavar="KEY")
@cluster_options
def show(session: Session, name: str) -> None:
    """Show what is known about a key.

    Example: hsmctl key show tls
    """
    with session.cluster() as cluster:
        document = describe(cluster.key(name).describe())
    session.out.result(document, _for_people(document))


@key.command()
@click.argument("name", metavar="KEY")
@click.option("--out", metavar="F", help="File to write; - is standard output.")
@click.option("--format", "form", type=click.Choice(["pem", "der"]), default="pem", show_default=True)
@cluster_options
def public(session: Session, name: str, out: str | None, form: str) -> None:
    """Write the public key (SubjectPublicKeyInfo).

    Example: hsmctl key public tls --out tls-public.pem
    """
    target = raw_output(out, session.out.as_json) if form == "der" else out or "-"
    with session.cluster() as cluster, wants_key_pair(name):
        found = cluster.key(name).public_key()
    encoding = serialization.Encoding.PEM if form == "pem" else serialization.Encoding.DER
    data = found.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    pem = found.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if target != "-" or not session.out.as_json:
        write_output(target, data)
    session.out.result({"key": name, "public_key": pem.decode()})


@key.command("import")
@click.option(
    "--type", "key_type", type=_key_type, metavar="T", help="Needed for secret keys; else read from the file."
)
@_label_option
@click.option("--in", "source", required=True, metavar="F", help="Private key (PEM or DER), or a secret key's bytes.")
@_usage_option
@cluster_options
def import_key(session: Session, key_type: str | None, label: str, source: str, usages: tuple[str, ...]) -> None:
    """Bring a key into the cluster; prints its id.

    Example: hsmctl key import --in old-key.pem --label old
    """
    found_type, material = material_of(read_input(source), key_type)
    with session.cluster() as cluster, wants_fitting_file():
        made = cluster.import_key(found_type, material, label=label, usage=usage_bits(usages))
        session.out.result(describe(made.info), made.id)


@key.command()
@click.argument("name", metavar="KEY")
@cluster_options
def disable(session: Session, name: str) -> None:
    """Stop a key from being used until it is enabled again.

    Example: hsmctl key disable tls
    """
    _switch(session, name, enabled=False)


@key.command()
@click.argument("name", metavar="KEY")
@cluster_options
def enable(session: Session, name: str) -> None:
    """Let a disabled key be used again.

    Example: hsmctl key enable tls
    """
    _switch(session, name, enabled=True)


def _switch(session: Session, name: str, *, enabled: bool) -> None:
    with session.cluster() as cluster:
        found = cluster.key(name)
        if enabled:
            found.enable()
        else:
            found.disable()
        session.out.result(
            {"id": found.id, "enabled": enabled}, f"{printable(name)} is {'enabled' if enabled else 'disabled'}"
        )


@key.command()
@click.argument("name", metavar="KEY")
@click.option("--yes", is_flag=True, help="Destroy without asking.")
@cluster_options
def destroy(session: Session, name: str, yes: bool) -> None:
    """Destroy a key for ever. Asks first; without a terminal it wants --yes.

    Example: hsmctl key destroy tls --yes
    """
    if not (yes or sys.stdin.isatty()):
        raise CommandError(f"nobody is there to confirm that {name} goes for ever; add --yes to destroy it", USAGE)
    with session.cluster() as cluster:
        found = cluster.key(name)
        if not yes:
            click.confirm(
                f"Destroy key {found.id} ({found.type}, label {found.label!r}) for ever?", abort=True, err=True
            )
        found.destroy()
        session.out.result({"id": found.id, "destroyed": True}, f"{printable(name)} is destroyed")


@key.command()
@click.argument("name", metavar="KEY")
@cluster_options
def rotate(_session: Session, name: str) -> None:
    """Replace a key's material (not offered yet).

    Example: hsmctl key rotate tls
    """
    raise CommandError(f"rotating a key is not offered yet; generate a new key and use it instead of {name}", USAGE)
