"""The mechanisms that each command offers by name: the protocol's table, less what a command line cannot say.

Whether a node has one is the node's to say: INFO and its refusal name what it lacks.
"""

from typing import Any, Final

import click

from hsm_wire.mechanisms import MECHANISM_BY_ALIAS
from hsm_wire.usages import Usage

_NEEDS_MORE: Final = {"rsa-pss": "rsa-pss-sha256 (with --prehashed where the file holds the digest)"}
"""Mechanisms whose parameters cannot be given on a command line, and what to name instead."""


def _names(usage: Usage) -> tuple[str, ...]:
    return tuple(alias for alias, row in MECHANISM_BY_ALIAS.items() if row.usages & usage and alias not in _NEEDS_MORE)


SIGNERS: Final = _names(Usage.SIGN)
CIPHERS: Final = _names(Usage.ENCRYPT)
WRAPPERS: Final = _names(Usage.WRAP)
DERIVERS: Final = _names(Usage.DERIVE)
MEASURABLE: Final = tuple(
    name
    for name in dict.fromkeys((*SIGNERS, *CIPHERS))
    if not MECHANISM_BY_ALIAS[name].digest_input and name != "rsa-raw"
)
"""What takes data of (almost) any length: `bench` chooses the length, and makes no digests."""


class MechanismName(click.Choice[str]):
    """A mechanism by name; one that the command does not offer is refused with what to name instead."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or say what is wrong with it."""
        if value in self.choices:
            return str(value)
        if value in _NEEDS_MORE:
            self.fail(f"{value} needs parameters that cannot be given here; use {_NEEDS_MORE[value]}.", param, ctx)
        wrong = f"{value} does not do this" if value in MECHANISM_BY_ALIAS else f"{value!r} is no mechanism"
        return self.fail(f"{wrong}; choose one of {', '.join(self.choices)}.", param, ctx)
