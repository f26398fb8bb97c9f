"""hsmctl key update, disable, enable, rotate and destroy."""

import datetime
import sys
from typing import Any, Final

import click
import msgspec

from hsm_client import policy
from hsm_client.durabilities import Durability
from hsm_client.errors import KeyNotFound
from hsm_client.sync import Key
from hsm_wire.messages import Policy
from hsm_wire.usages import PERMISSIONS, PolicyFlag
from hsmctl.failures import USAGE, CommandError
from hsmctl.key_descriptions import describe, text_of
from hsmctl.key_options import (
    USAGE_NAMES,
    bound_options,
    checked_label,
    durability_option,
    flag_name,
    mechanisms_option,
    usage_bits,
    with_options,
)
from hsmctl.moments import Length, length_text, moment_text
from hsmctl.printable import printable
from hsmctl.session import Session, cluster_options

_FLAGS: Final = {flag_name(flag): flag for flag in PolicyFlag if flag & PERMISSIONS}
_name = click.argument("name", metavar="KEY")


def _narrowed(old: Policy, without: tuple[str, ...], strict: bool, bounds: dict[str, Any]) -> Policy | None:
    """Return the policy with what was named in place of what it has, None where nothing was."""
    wait_s = bounds.pop("destruction_wait")
    named = {name: value for name, value in bounds.items() if value}
    if wait_s is not None:
        named["destruction_wait"] = datetime.timedelta(seconds=wait_s)
    if not (named or without or strict):
        return None
    changes = policy(**named)
    fields = {"destruction_wait": "destruction_wait_s"}
    flags = old.flags | (PolicyFlag.STRICT if strict else 0)
    for name in without:
        flags &= ~int(_FLAGS[name])
    new = {fields.get(name, name): getattr(changes, fields.get(name, name)) for name in named}
    return msgspec.structs.replace(old, flags=int(flags), **new)


def _update_options(command: Any) -> Any:
    return with_options(
        command,
        [
            click.option("--label", metavar="L", callback=checked_label, help="The new label."),
            click.option(
                "--usage",
                "usages",
                multiple=True,
                type=click.Choice(USAGE_NAMES),
                help="What it may still do; repeatable.",
            ),
            click.option(
                "--without",
                multiple=True,
                type=click.Choice(list(_FLAGS)),
                help="A permission to take away; repeatable.",
            ),
            click.option("--strict", is_flag=True, help="Refused by a node that is cut off from its store."),
            mechanisms_option("--mechanism", text="What it may still be used with; repeatable."),
            *bound_options,
            durability_option,
        ],
    )


@click.command()
@_name
@_update_options
@cluster_options
def update(
    session: Session,
    /,
    name: str,
    label: str | None,
    usages: tuple[str, ...],
    without: tuple[str, ...],
    strict: bool,
    durability: Durability | None,
    **bounds: Any,
) -> None:
    """Rename a key, or let it do less: what a policy forbids stays forbidden.

    Example: hsmctl key update tls --without exportable --not-after 2027-12-31
    """
    if not (usages or without or strict or any(bounds.values())) and label is None:
        raise CommandError(f"nothing is named that should change on {name}; see `hsmctl key update --help`", USAGE)
    with session.cluster() as cluster:
        found = cluster.key(name)
        narrowed = _narrowed(found.info.policy, without, strict, bounds)
        # A policy goes whole: what another one changed meanwhile must not be undone by it.
        expected = found.info.version if narrowed is not None else 0
        info = found.update(
            label=label,
            usage=usage_bits(usages),
            policy=narrowed,
            expected_version=expected,
            durability=durability,
        )
    session.out.result(describe(info), text_of(info))


@click.command()
@_name
@durability_option
@cluster_options
def disable(session: Session, name: str, durability: Durability | None) -> None:
    """Stop a key from being used until it is enabled again.

    Example: hsmctl key disable tls
    """
    with session.cluster() as cluster:
        found = cluster.key(name)
        found.disable(durability=durability)
        session.out.result({"id": found.id, "enabled": False}, f"{printable(name)} is disabled")


@click.command()
@_name
@durability_option
@cluster_options
def enable(session: Session, name: str, durability: Durability | None) -> None:
    """Let a disabled key be used again; a scheduled destruction is off then.

    Example: hsmctl key enable tls
    """
    with session.cluster() as cluster:
        found = cluster.key(name)
        scheduled = found.info.destroy_at
        found.enable(durability=durability)
    revoked = f"; its destruction, scheduled for {moment_text(scheduled)}, is revoked" if scheduled else ""
    session.out.result(
        {"id": found.id, "enabled": True, "destruction_revoked": bool(scheduled)},
        f"{printable(name)} is enabled{revoked}",
    )


@click.command()
@_name
@durability_option
@cluster_options
def rotate(session: Session, name: str, durability: Durability | None) -> None:
    """Make a key's next version, with its label; prints the new id. The old one only verifies and decrypts then.

    Example: hsmctl key rotate tls
    """
    with session.cluster() as cluster:
        made = cluster.key(name).rotate(durability=durability)
        session.out.result(describe(made.info), made.id)


@click.command()
@_name
@click.option("--wait", "wait_s", type=Length(), default=0, metavar="LENGTH", help="Only after 7d, 12h...; revocable.")
@click.option("--yes", is_flag=True, help="Destroy without asking.")
@durability_option
@cluster_options
def destroy(session: Session, name: str, wait_s: int, yes: bool, durability: Durability | None) -> None:
    """Destroy a key for ever. Asks first; without a terminal it wants --yes.

    With --wait, or where the key's policy says so, the key is only disabled until then: `hsmctl key enable` brings
    it back.

    Example: hsmctl key destroy tls --wait 7d --yes
    """
    if not (yes or sys.stdin.isatty()):
        raise CommandError(f"nobody is there to confirm that {name} goes for ever; add --yes to destroy it", USAGE)
    with session.cluster() as cluster:
        found = cluster.key(name)
        waits_s = max(wait_s, found.info.policy.destruction_wait_s)
        if not yes:
            when = f"in {length_text(waits_s)}" if waits_s else "now"
            click.confirm(
                f"Destroy key {found.id} ({found.type}, label {found.label!r}) for ever, {when}?", abort=True, err=True
            )
        found.destroy(wait_s=wait_s, durability=durability)
        destroy_at = _scheduled(found) if waits_s else 0
    older = "; its earlier versions stay" if found.info.replaces else ""
    if destroy_at:
        when = moment_text(destroy_at)
        text = f"{printable(name)} is disabled, and destroyed at {when}; `hsmctl key enable` revokes that"
        session.out.result({"id": found.id, "destroyed": False, "destroy_at": when}, text + older)
    else:
        session.out.result({"id": found.id, "destroyed": True}, f"{printable(name)} is destroyed{older}")


def _scheduled(key: Key) -> int:
    """Return when the key will be destroyed, 0 if it is gone already."""
    try:
        return key.describe().destroy_at
    except KeyNotFound:
        return 0
