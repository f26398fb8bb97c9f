"""Options of the commands that make a key: its label, its usage, its policy, how durable it must be."""

import datetime
import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar, get_args

import click

from hsm_client import policy
from hsm_client.durabilities import Durability
from hsm_client.key_ids import maybe_key_id
from hsm_client.new_keys import NewKey
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.limits import MAX_LABEL_CHARACTERS
from hsm_wire.mechanisms import MECHANISM_BY_ALIAS
from hsm_wire.usages import PolicyFlag, Usage
from hsmctl.mechanism_names import MechanismName
from hsmctl.moments import Length, Moment

_R = TypeVar("_R")
_Decorator = Callable[[Callable[..., _R]], Callable[..., _R]]

USAGE_NAMES: Final = [str(usage.name).lower() for usage in Usage]
FLAG_HELP: Final = {
    PolicyFlag.EXPORTABLE: "May leave the cluster, wrapped by a key at least as strong.",
    PolicyFlag.CALLER_IV: "Callers may choose the nonce or iv of an encryption.",
    PolicyFlag.STRICT: "Refused by a node that is cut off from its store.",
    PolicyFlag.PKCS1_DECRYPT: "May decrypt PKCS#1 v1.5.",
    PolicyFlag.CBC_PADDING: "May decrypt aes-cbc-pad, at a limited rate.",
    PolicyFlag.LEGACY_TEST: "May sign with SHA-1 (clusters of package sandbox only).",
    PolicyFlag.RAW_RSA: "May do RSA without padding.",
}
KEY_TYPE: Final = click.Choice(list(KEY_TYPES))
SECRET_TYPE: Final = click.Choice([name for name, row in KEY_TYPES.items() if row.symmetric])


def flag_name(flag: PolicyFlag) -> str:
    """Return the flag as the command line and the documents name it."""
    return str(flag.name).lower().replace("_", "-")


def usage_bits(names: tuple[str, ...]) -> Usage | None:
    """Return the usages of these names, None where none is named: then the type's default holds."""
    total = Usage(0)
    for name in names:
        total |= Usage[name.upper()]
    return total or None


def checked_label(_context: click.Context, _option: click.Parameter, label: str | None) -> str | None:
    """Refuse a label that could not be used later."""
    if label is not None and len(label) > MAX_LABEL_CHARACTERS:
        raise click.BadParameter(f"{len(label)} characters; at most {MAX_LABEL_CHARACTERS} are taken.")
    if label is not None and maybe_key_id(label) is not None:
        raise click.BadParameter(f"{label!r} would be taken for an id; choose other than 32 hex digits.")
    return label


label_option = click.option("--label", default="", metavar="L", callback=checked_label, help="A name to find it by.")
usage_option = click.option(
    "--usage", "usages", multiple=True, type=click.Choice(USAGE_NAMES), help="What the key may do; may be repeated."
)
durability_option: _Decorator[Any] = click.option(
    "--durability",
    type=click.Choice(list(get_args(Durability))),
    help="Done when the store has it, or when the disaster-recovery site has it too [the cluster's rule].",
)
_flag_options: list[_Decorator[Any]] = [
    click.option(f"--{flag_name(flag)}", str(flag.name).lower(), is_flag=True, help=text)
    for flag, text in FLAG_HELP.items()
]


def mechanisms_option(
    *names: str, text: str = "A mechanism that the key may be used with; may be repeated [all that fit]."
) -> _Decorator[Any]:
    """Return the option for the mechanisms of a policy, under these names."""
    return click.option(
        *names, "mechanisms", multiple=True, type=MechanismName(list(MECHANISM_BY_ALIAS)), metavar="M", help=text,
    )  # fmt: skip


bound_options: list[_Decorator[Any]] = [
    click.option("--not-before", type=Moment(), metavar="DATE", help="Not to be used before (00:00 UTC, or a time)."),
    click.option("--not-after", type=Moment(), metavar="DATE", help="Not to be used after (00:00 UTC, or a time)."),
    click.option(
        "--max-uses", type=click.IntRange(1, (1 << 63) - 1), metavar="N", help="Uses over the key's whole life."
    ),
    click.option(
        "--destruction-wait", type=Length(), metavar="LENGTH", help="A destruction waits that long at least (7d)."
    ),
]


def with_options(command: Callable[..., _R], options: list[_Decorator[Any]]) -> Callable[..., _R]:
    """Return the command with these options, shown in their order."""
    for option in reversed(options):
        command = option(command)
    return command


def makes_key(*, names: tuple[str, ...] = ("--mechanism", "--allow-mechanism")) -> _Decorator[Any]:
    """Add the options of a key that is made; the command gets them as `new`.

    `names` are those of the option for the policy's mechanisms: a command with a --mechanism of its own has another.
    """

    def decorated(command: Callable[..., _R]) -> Callable[..., _R]:
        @functools.wraps(command)
        def with_new_key(*args: Any, **options: Any) -> _R:
            label, usages = options.pop("label"), options.pop("usages")
            durability, made = options.pop("durability"), _policy_of(options)
            new = NewKey(label=label, usage=usage_bits(usages), policy=made, durability=durability)
            return command(*args, new=new, **options)

        policies = [*_flag_options, mechanisms_option(*names), *bound_options]
        return with_options(with_new_key, [label_option, usage_option, *policies, durability_option])

    return decorated


def _policy_of(options: dict[str, Any]) -> Any:
    """Take the policy's options out of a command's; return the policy."""
    flags = {name: options.pop(name) for name in (str(flag.name).lower() for flag in FLAG_HELP)}
    wait = datetime.timedelta(seconds=options.pop("destruction_wait") or 0)
    bounds = {name: options.pop(name) for name in ("mechanisms", "not_before", "not_after")}
    return policy(**flags, **bounds, max_uses=options.pop("max_uses") or 0, destruction_wait=wait)
