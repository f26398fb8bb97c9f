"""hsmctl unseal: a master key in shares, and the nodes that wait for them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from hsm_wire.administration import Report, Unseal
from hsm_wire.limits import MAX_SHARE_CHARACTERS
from hsm_wire.opcodes import Opcode
from hsm_wire.shares import MAX_SHARES, MIN_THRESHOLD, Share, ShareError, read_share
from hsmctl import shares
from hsmctl.failures import USAGE, CommandError
from hsmctl.files import read_input
from hsmctl.local_node import local_node, socket_option
from hsmctl.output import Output, pairs, standard_output
from hsmctl.printable import printable
from hsmctl.session import json_option

WORDS_PER_LINE: Final = 11
_FORGET: Final = b""


@click.group(invoke_without_command=True)
@socket_option
@json_option
@click.pass_context
def unseal(context: click.Context, path: Path, as_json: bool) -> None:
    """Give one share of the master key to the sealed node on this host; asked for without echo.

    Where there is no terminal the share is read from standard input. Run it as root, once for each share.

    Example: hsmctl unseal --socket /var/lib/redoubt/admin.sock
    """
    if context.invoked_subcommand is None:
        _, words = _ask_for_share()
        _give(_output(context, as_json), path, words.encode())


@unseal.command()
@socket_option
@json_option
@click.pass_context
def forget(context: click.Context, path: Path, as_json: bool) -> None:
    """Have the node forget the shares that it was given, to begin anew with those of another set.

    Example: hsmctl unseal forget
    """
    parent = context.parent
    if parent is not None and context.get_parameter_source("path") is click.core.ParameterSource.DEFAULT:
        path = parent.params["path"]
    _give(_output(context, as_json), path, _FORGET)


@unseal.command("verify-share")
@click.option("--in", "source", metavar="FILE", help="The share's file, - for standard input [asked for].")
@json_option
@click.pass_context
def verify_share(context: click.Context, source: str | None, as_json: bool) -> None:
    """Check one share by itself, here: its words and checksum, its set, its number and the threshold. No node is asked.

    Example: hsmctl unseal verify-share --in share-1-of-5.txt
    """
    share = _ask_for_share()[0] if source is None else _share(read_input(source, "name the file of one share"))
    shown = {"set": share.set_name, "share": share.number, "threshold": share.threshold}
    _output(context, as_json).result({"valid": True, **shown}, pairs(shown))


@unseal.command()
@click.option("--threshold", type=click.IntRange(MIN_THRESHOLD, MAX_SHARES), required=True, help="Enough for the key.")
@click.option("--shares", "count", type=click.IntRange(MIN_THRESHOLD, MAX_SHARES), required=True, help="To be made.")
@click.option("--master-key", "file", metavar="FILE", help="Key to split, as in node.toml [a new one].")
@click.option("--from-shares", is_flag=True, help="Split the key of another set: asks for its shares, or one a line.")
@click.option("--out-dir", type=click.Path(path_type=Path), metavar="DIR", help="A file for each share [printed].")
@json_option
@click.pass_context
def split(
    context: click.Context,
    threshold: int,
    count: int,
    file: str | None,
    from_shares: bool,
    out_dir: Path | None,
    as_json: bool,
) -> None:
    """Split a master key into shares: a new one, that of a file or of another set. The key itself is never shown.

    Example: hsmctl unseal split --threshold 3 --shares 5 --out-dir shares
    """
    output = _output(context, as_json)
    files = None if out_dir is None else shares.share_files(out_dir, count)
    key, what = _key_to_split(file, from_shares=from_shares)
    made = shares.split(key, threshold, count)
    shown: dict[str, Any] = {"set": read_share(made[0]).set_name, "threshold": threshold}
    if files is not None:
        for path, words in zip(files, made, strict=True):
            _write_new(path, words)
        shown["files"] = [str(path) for path in files]
        output.result(shown, "\n".join(shown["files"]))
    elif as_json or not sys.stdout.isatty():
        output.result({**shown, "shares": made}, "\n".join(made))
    else:
        _show_one_by_one(made, shown["set"])
    output.note(f"set {shown['set']}: any {threshold} of {count} shares make {what}")


def _output(context: click.Context, as_json: bool) -> Output:
    above = [found.params.get("as_json") for found in (context.parent, context.find_root()) if found is not None]
    return Output(as_json or any(above))


def _key_to_split(file: str | None, *, from_shares: bool) -> tuple[bytes, str]:
    """Return the key, and what it is."""
    if file is not None and from_shares:
        raise CommandError("--master-key and --from-shares are two keys; name one of them", USAGE)
    if file is not None:
        return shares.read_master_key(file), f"the master key of {file}"
    if from_shares:
        return shares.master_key_of(_shares_of_a_set()), "the same master key as the other set"
    return shares.new_master_key(), "a new master key: it is nowhere but in these shares"


def _shares_of_a_set() -> Iterator[Share]:
    """Yield shares from the terminal for as long as they are wanted, or from the lines of standard input."""
    while sys.stdin.isatty():
        yield _ask_for_share()[0]
    for line in sys.stdin.buffer.read(MAX_SHARES * MAX_SHARE_CHARACTERS).splitlines():
        if line.strip():
            yield _share(line)


def _give(output: Output, path: Path, share: bytes) -> None:
    with local_node(path) as node:
        report = node.request(Opcode.UNSEAL, Unseal(share), Report)
    output.result({"sealed": not report.ok, "lines": report.lines}, "\n".join(map(printable, report.lines)))


def _ask_for_share() -> tuple[Share, str]:
    """Return a share from the terminal or standard input, checked, and its words."""
    if sys.stdin.isatty():
        data = str(click.prompt("Share (it is not shown)", hide_input=True, err=True)).encode()
    else:
        data = sys.stdin.buffer.read(MAX_SHARE_CHARACTERS + 1)
    return _share(data), data.decode("ascii", "replace")


def _share(data: bytes) -> Share:
    if not data.strip():
        raise CommandError("there is no share; give its words on standard input, or on a terminal", USAGE)
    if len(data) > MAX_SHARE_CHARACTERS:
        raise CommandError(f"a share has at most {MAX_SHARE_CHARACTERS} characters; give one alone", USAGE)
    try:
        return read_share(data.decode("ascii", "replace"))
    except ShareError as error:
        raise CommandError(f"this is no valid share: {error}; compare it with what was written down") from None


def _write_new(path: Path, words: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(words + "\n")


def _show_one_by_one(made: list[str], set_name: str) -> None:
    """Show each share alone on the terminal, until whoever gets it has written it down."""
    for number, share in enumerate(made, 1):
        words = share.split()
        lines = [" ".join(words[at : at + WORDS_PER_LINE]) for at in range(0, len(words), WORDS_PER_LINE)]
        with standard_output():
            click.clear()
            click.echo(f"Share {number} of {len(made)}, set {set_name}:\n")
            click.echo("\n".join(lines) + "\n")
            # Not click.pause: it throws away what was typed before it waits.
            click.prompt("Write it down; Enter clears the screen and goes on", default="", show_default=False)
            click.clear()
