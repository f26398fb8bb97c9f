"""`hsm-node init`, `hsm-node join` and `hsm-node record`: the ceremony of docs/ceremony.md, step by step."""

from pathlib import Path
from typing import Final, TypeVar

import click
import msgspec

from hsm_daemon import clock
from hsm_daemon.errors import StartError
from hsm_node.backends.pkcs11.ceremony_token import check_value
from hsm_node.ceremony import MAX_FILE_BYTES, JoinAnswer, JoinRequest, at_token
from hsm_node.ceremony_record import read_lines, verify
from hsm_node.config import load_node_config
from hsm_node.core.refusal import Refusal
from hsm_node.core.unsealing import Unsealing

M = TypeVar("M", JoinRequest, JoinAnswer)

_SHARES_KEPT_S: Final = 3600.0
"""Between two people who type their shares here."""
_FILE = click.Path(path_type=Path)
_RECORD = click.option(
    "--record", required=True, type=_FILE, help="The ceremony's record; each step adds a signed line to it."
)
_OPERATORS = click.option(
    "--operator", "operators", required=True, multiple=True, help="Who is there; once for each of you."
)


@click.command()
@_RECORD
@_OPERATORS
@click.option("--for", "requests", multiple=True, type=_FILE, help="A request of `join`; once for each other node.")
@click.option("--out-dir", type=_FILE, help="Where the answers to the requests are written.")
@click.option("--yes", is_flag=True, help="The fingerprints of the requests were compared already.")
@click.pass_obj
def init(
    config_file: Path, record: Path, operators: list[str], requests: list[Path], out_dir: Path | None, *, yes: bool
) -> None:
    """Make the cluster's master key in this node's token.

    Example: hsm-node --config node.toml init --record ceremony.jsonl --operator ada --for n2.request --out-dir out
    """
    if requests and out_dir is None:
        raise click.UsageError("--for needs --out-dir: where the answers are written")
    asked = [read(path, JoinRequest, "a request of `join --request`") for path in requests]
    for request in asked:
        shown = f"{request.node}, token {request.token}, key {request.fingerprint}"
        if not yes and not click.confirm(f"Does the screen of {request.node} show this key? {shown}"):
            raise StartError(f"the request of {request.node} is not the one that its node has made; bring it again")
    config, _ = load_node_config(config_file)
    with at_token(config, record, operators) as ceremony:
        value, answers = ceremony.init(asked)
    for answer in answers:
        assert out_dir is not None  # said above
        write(out_dir / f"{answer.node}.answer", answer)
    click.echo(f"master key made; check value {value}")


@click.command()
@_RECORD
@_OPERATORS
@click.option("--request", type=_FILE, help="Make a transport key, and write what is taken to the first node.")
@click.option("--answer", type=_FILE, help="Take the master key that the first node has wrapped for this one.")
@click.option("--shares", is_flag=True, help="Take it from shares (docs/master-key.md) that people type here.")
@click.option("--check-value", "expected", help="With --shares: what the first token, or the splitting, has shown.")
@click.pass_obj
def join(
    config_file: Path,
    record: Path,
    operators: list[str],
    request: Path | None,
    answer: Path | None,
    expected: str | None,
    *,
    shares: bool,
) -> None:
    """Bring the cluster's master key into this node's token.

    Example: hsm-node --config node.toml join --record ceremony.jsonl --operator ada --request n2.request
    """
    if [request is not None, answer is not None, shares].count(True) != 1:
        raise click.UsageError("one of --request, --answer and --shares")
    config, _ = load_node_config(config_file)
    brought = read(answer, JoinAnswer, "an answer of `init --out-dir`") if answer is not None else None
    key = ask_for_shares() if shares else b""
    with at_token(config, record, operators) as ceremony:
        if request is not None:
            made = ceremony.request()
            write(request, made)
            click.echo(f"transport key {made.fingerprint}")
            return
        value = ceremony.bring(key, expected or check_value(key)) if brought is None else ceremony.join(brought)
    click.echo(f"master key taken; check value {value}")


@click.command()
@_RECORD
@_OPERATORS
@click.pass_obj
def trust(config_file: Path, record: Path, operators: list[str]) -> None:
    """Have the token's security officer, whose PIN is typed here, mark the master key as trusted (CKA_TRUSTED).

    Keys that the node makes from its next start on are then wrapped under the master key alone, if the device has that.

    Example: hsm-node --config node.toml trust --record ceremony.jsonl --operator ada --operator grace
    """
    config, _ = load_node_config(config_file)
    with at_token(config, record, operators) as ceremony:
        refused = ceremony.trust(click.prompt("Security officer's PIN", hide_input=True, err=True).encode())
    if refused:
        raise StartError(f"the token refuses it ({refused}); its maker's tool may do it, and the node goes on without")
    click.echo("the master key is trusted; restart the node")


@click.command()
@click.argument("record", type=_FILE)
def show_record(record: Path) -> None:
    """Check the record of a ceremony, and print it.

    Example: hsm-node --config node.toml record ceremony.jsonl
    """
    for step in verify(read_lines(record), record):
        value = f", check value {step.check_value}" if step.check_value else ""
        click.echo(f"{step.at} {step.node}, token {step.token}: {step.what}{value}; there: {', '.join(step.operators)}")


def ask_for_shares() -> bytes:
    """Return the master key of the shares that people type, one after the other.

    Raises:
        StartError: they make none.
    """
    unsealing = Unsealing(_SHARES_KEPT_S)
    while True:
        words = click.prompt("Share", hide_input=True, err=True)
        try:
            progress = unsealing.give(words.encode(), clock.monotonic())
        except Refusal as refusal:
            click.echo(str(refusal), err=True)
            continue
        click.echo(f"{progress.given} of {progress.needed} shares", err=True)
        if progress.complete:
            return taken_key(unsealing)


def taken_key(unsealing: Unsealing) -> bytes:
    """Return the key that a complete set makes.

    Raises:
        StartError: it makes none.
    """
    try:
        return unsealing.take_key()
    except Refusal as refusal:
        raise StartError(str(refusal)) from None


def read(path: Path, form: type[M], noun: str) -> M:
    """Return what a file of the ceremony says.

    Raises:
        StartError: it cannot be read, or is something else.
    """
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_FILE_BYTES), type=form)
    except OSError as error:
        raise StartError(f"{path}: it cannot be read ({error.strerror}); check its name") from None
    except msgspec.DecodeError:
        raise StartError(f"{path}: this is not {noun}; check which file it is") from None


def write(path: Path, message: JoinRequest | JoinAnswer) -> None:
    """Write a file of the ceremony.

    Raises:
        StartError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(message) + b"\n")
    except OSError as error:
        raise StartError(f"{path}: it cannot be written ({error.strerror}); check the folder") from None
