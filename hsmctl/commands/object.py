"""hsmctl object: certificates, public keys and data stored beside keys."""

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from hsm_client.durabilities import Durability
from hsm_client.errors import KeyNotFound
from hsm_wire.limits import MAX_OBJECT_BYTES
from hsm_wire.objects import KINDS, ObjectInfo
from hsmctl.failures import FAILED, USAGE, CommandError
from hsmctl.files import raw_output, read_input, too_large, write_output
from hsmctl.key_options import checked_label, durability_option, label_option
from hsmctl.moments import moment_text
from hsmctl.output import pairs
from hsmctl.printable import printable
from hsmctl.public_keys import pem_form, stored_form
from hsmctl.session import Session, cluster_options

_name = click.argument("name", metavar="OBJECT")
_KINDS = click.Choice(KINDS)


def describe(info: ObjectInfo) -> dict[str, Any]:
    """Return what is known about an object besides its value."""
    return {
        "id": info.object_id.hex(),
        "kind": info.kind,
        "label": info.label,
        "version": info.version,
        "created": moment_text(info.created),
    }


@contextmanager
def _wants_object(name: str) -> Iterator[None]:
    """Say what to do where there is no such object: the status alone speaks of keys."""
    try:
        yield
    except KeyNotFound:
        raise CommandError(f"no object has the id or label {name!r}; `hsmctl object list` shows all", FAILED) from None


def _value(kind: str, source: str) -> bytes:
    value = stored_form(kind, read_input(source), source)
    if len(value) > MAX_OBJECT_BYTES:
        raise too_large(source, f"{len(value)} bytes", f"an object has at most {MAX_OBJECT_BYTES}")
    return value


@click.group("object")
def object_group() -> None:
    """Store certificates, public keys and data beside keys. OBJECT is an id or a label.

    Example: hsmctl object create --kind certificate --in tls.pem --label tls
    """


@object_group.command()
@click.option("--kind", required=True, type=_KINDS, metavar="K", help=f"One of {', '.join(KINDS)}.")
@click.option("--in", "source", required=True, metavar="F", help="Certificates and public keys in PEM or DER.")
@label_option
@durability_option
@cluster_options
def create(session: Session, kind: str, source: str, label: str, durability: Durability | None) -> None:
    """Store a file; prints its id. Everyone who may use keys of the partition may read it.

    Example: hsmctl object create --kind certificate --in tls.pem --label tls
    """
    value = _value(kind, source)
    with session.cluster() as cluster:
        made = cluster.create_object(kind, value, label=label, durability=durability)
        session.out.result(describe(made.info), made.id)


@object_group.command("list")
@click.option("--label", metavar="L", help="Only objects with this label.")
@click.option("--kind", type=_KINDS, metavar="K", help="Only objects of this kind.")
@cluster_options
def list_objects(session: Session, label: str | None, kind: str | None) -> None:
    """List objects.

    Example: hsmctl object list --kind certificate
    """
    with session.cluster() as cluster:
        found = [describe(each.info) for each in cluster.find_objects(label=label, kind=kind)]
    rows = [[d["id"], d["kind"], d["label"], d["created"][: len("2026-01-31T12:00")].replace("T", " ")] for d in found]
    session.out.table(found, ["id", "kind", "label", "created (UTC)"], rows)


@object_group.command()
@_name
@cluster_options
def show(session: Session, name: str) -> None:
    """Show what is known about an object, without its value.

    Example: hsmctl object show tls
    """
    with session.cluster() as cluster, _wants_object(name):
        document = describe(cluster.object(name).info)
    session.out.result(document, pairs(document))


@object_group.command()
@_name
@click.option("--out", metavar="F", help="File to write; - is standard output, also if it is a terminal.")
@click.option(
    "--format", "form", type=click.Choice(["pem", "der"]), default="pem", show_default=True,
    help="Of certificates and public keys; data is written as it is.",
)  # fmt: skip
@cluster_options
def read(session: Session, name: str, out: str | None, form: str) -> None:
    """Write an object's value.

    Example: hsmctl object read tls --out tls.pem
    """
    with session.cluster() as cluster, _wants_object(name):
        stored = cluster.object(name)
        value = stored.value()
    text = pem_form(stored.kind, value) if form == "pem" else None
    target = raw_output(out, session.out.as_json) if text is None else out or "-"
    if target != "-" or not session.out.as_json:
        write_output(target, value if text is None else text)
    session.out.result({**describe(stored.info), "value": base64.b64encode(value).decode()})


@object_group.command()
@_name
@click.option("--in", "source", metavar="F", help="The new value, of the same kind.")
@click.option("--label", metavar="L", callback=checked_label, help="The new label.")
@durability_option
@cluster_options
def update(session: Session, name: str, source: str | None, label: str | None, durability: Durability | None) -> None:
    """Change an object's value or label.

    Example: hsmctl object update tls --in renewed.pem
    """
    if source is None and label is None:
        raise click.UsageError("nothing is named that should change; name --in, --label or both.")
    with session.cluster() as cluster, _wants_object(name):
        stored = cluster.object(name)
        value = _value(stored.kind, source) if source is not None else None
        document = describe(stored.update(value=value, label=label, durability=durability))
    session.out.result(document, pairs(document))


@object_group.command()
@_name
@click.option("--yes", is_flag=True, help="Destroy without asking.")
@durability_option
@cluster_options
def destroy(session: Session, name: str, yes: bool, durability: Durability | None) -> None:
    """Destroy an object for ever. Asks first; without a terminal it wants --yes.

    Example: hsmctl object destroy tls --yes
    """
    if not (yes or sys.stdin.isatty()):
        raise CommandError(f"nobody is there to confirm that {name} goes for ever; add --yes to destroy it", USAGE)
    with session.cluster() as cluster, _wants_object(name):
        stored = cluster.object(name)
        if not yes:
            question = f"Destroy object {stored.id} ({stored.kind}, label {stored.label!r}) for ever?"
            click.confirm(question, abort=True, err=True)
        stored.destroy(durability=durability)
    session.out.result({"id": stored.id, "destroyed": True}, f"{printable(name)} is destroyed")
