"""The mechanisms that each command offers by name, and what is said about the others.

What a node has not proved is not here, however well the protocol knows it: naming it would only be refused later.
"""

from typing import Any, Final

import click

from hsm_wire.mechanisms import MECHANISM_BY_ALIAS
from hsm_wire.usages import Usage

_NOT_YET: Final = frozenset({"aes-cbc", "aes-cbc-pad", "aes-ctr", "aes-cmac", "ml-dsa", "rsa-pkcs1-sha1", "rsa-raw"})
"""In the protocol, but offered by no node so far."""
_NEEDS_MORE: Final = {"rsa-pss": "rsa-pss-sha256 (with --prehashed where the file holds the digest)"}
"""Mechanisms whose parameters cannot be given on a command line, and what to name instead."""
CIPHERS: Final = ("aes-gcm", "rsa-oaep")
SIGNERS: Final = tuple(
    alias
    for alias, row in MECHANISM_BY_ALIAS.items()
    if row.usages & Usage.SIGN and alias not in _NOT_YET and alias not in _NEEDS_MORE
)
MEASURABLE: Final = tuple(name for name in SIGNERS if not MECHANISM_BY_ALIAS[name].digest_input) + CIPHERS


class MechanismName(click.Choice[str]):
    """A mechanism by name; one that the command does not offer is refused with what to name instead."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or say what is wrong with it."""
        if value in self.choices:
            return str(value)
        if value in _NEEDS_MORE:
            self.fail(f"{value} needs parameters that cannot be given here; use {_NEEDS_MORE[value]}.", param, ctx)
        wrong = f"{value!r} is no mechanism"
        if value in _NOT_YET:
            wrong = f"no node offers {value} so far"
        elif value in MECHANISM_BY_ALIAS:
            wrong = f"{value} does not do this"
        return self.fail(f"{wrong}; choose one of {', '.join(self.choices)}.", param, ctx)
