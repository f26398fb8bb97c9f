"""The page about the command line, made of the programs' own commands."""

import inspect
import textwrap
from collections.abc import Iterator
from typing import Any, Final

import click
from made_pages import table
from reference_configuration import NOTICE, figure

from hsm_node.cli import main as node_command
from hsmctl.cli import main as hsmctl
from proxy.cli import main as proxy_command

HELP_COLUMNS: Final = 120
COMMON: Final = frozenset({"--config", "--proxy", "--json", "--timeout"})
"""Options of `hsmctl` that its commands take as well."""
CLI_HEAD: Final = f"""# Command line

{NOTICE}`--config`, `--proxy`, `--json` and `--timeout` may stand before or behind a command of `hsmctl` that talks to
the cluster; `--help` says which. With `--json` standard output has nothing but JSON. An error is one line on standard
error. KEY is an id (32 hexadecimal digits) or a label that only one key has.

| exit code | |
| --- | --- |
| 0 | done |
| 1 | the operation failed |
| 2 | wrong usage or configuration |
| 3 | the cluster cannot be reached, or serves nobody |
| 130 | Ctrl-C |
"""


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and those below it, in the order of `--help`."""
    yield path, command
    if isinstance(command, click.Group):
        for name, below in sorted(command.commands.items()):
            if not below.hidden:
                yield from commands(below, f"{path} {name}")


def option_row(option: click.Option) -> tuple[str, str, str]:
    """Return an option as it is typed, its default and its help."""
    typed = ", ".join(option.opts)
    if not option.is_flag:
        typed += f" {option.metavar or argument_words(option.type)}"
    if option.secondary_opts:
        typed += f" / {', '.join(option.secondary_opts)}"
    extra = option.to_info_dict()
    default = "" if option.is_flag or extra["default"] in (None, (), "", b"") else f"`{extra['default']}`"
    return (f"`{typed}`", "required" if option.required else default, option.help or extra_help(option))


def extra_help(option: click.Option) -> str:
    """Return what an option without a text of its own says."""
    return "Show the version and exit." if "--version" in option.opts else ""


def argument_words(kind: "click.ParamType[Any]") -> str:
    """Return what follows an option."""
    match kind:
        case click.IntRange() | click.FloatRange():
            low = "" if kind.min is None else f"{'above ' if kind.min_open else ''}{figure(kind.min)}"
            high = "" if kind.max is None else figure(kind.max)
            return f"{low} to {high}" if low and high else f"N from {low}" if low else "N"
        case click.Choice():
            return "|".join(str(choice) for choice in kind.choices)
        case _:
            return kind.name.upper()


def command_section(path: str, command: click.Command) -> str:
    """Return usage, meaning and options of one command."""
    context = click.Context(command, info_name=path, max_content_width=HELP_COLUMNS)
    pieces = " ".join(command.collect_usage_pieces(context))
    text = textwrap.dedent(inspect.cleandoc(command.help or "")).replace("\b\n", "")
    body = "\n\n".join(paragraph(part) for part in text.split("\n\n"))
    level = "##" if " " not in path else "###"
    section = f"\n{level} {path}\n\n```text\n{path} {pieces}\n```\n\n{body}\n"
    known = COMMON if " " in path else frozenset[str]()
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden and not known & set(p.opts)]
    if options:
        section += "\n" + table(("option", "default", "meaning"), (option_row(option) for option in options))
    return section


def paragraph(text: str) -> str:
    """Return a paragraph of a command's help; an example becomes a block to copy."""
    words = " ".join(text.split())
    example = words.removeprefix("Example: ")
    return f"```sh\n{example}\n```" if example != words and not example.startswith("`") else words


def cli_page() -> str:
    """Return docs/reference/cli.md."""
    programs: tuple[tuple[str, Any], ...] = (
        ("hsmctl", hsmctl),
        ("hsm-proxy", proxy_command),
        ("hsm-node", node_command),
    )
    found = (row for name, program in programs for row in commands(program, name))
    return CLI_HEAD + "".join(command_section(path, command) for path, command in found)
