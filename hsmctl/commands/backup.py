"""hsmctl backup: wrapped copies of the keystore, made, verified and restored by the node of this host."""

import time
from pathlib import Path
from typing import Any, Final

import click

from hsm_wire.backup_messages import RestoreChoice
from hsmctl.backup_files import abandoned_ones, older_ones
from hsmctl.backup_runs import Made, Node, Restoring, Run, make, verify
from hsmctl.failures import USAGE, CommandError
from hsmctl.local_node import socket_option
from hsmctl.moments import moment_text
from hsmctl.output import Output, pairs
from hsmctl.session import json_option

KEEP_DAYS: Final = 10
PROVE: Final = 100
"""Keys that are used when a backup is verified, and one of each type at least: a few seconds."""
ALL: Final = (1 << 63) - 1
"""More keys than there are."""
FAULTS: Final = ("unreadable", "not proven")
SHOWN_ITEMS: Final = 20
"""Records that are named; with --json it is up to a thousand."""


class Number(click.ParamType[int]):
    """How many keys are proven: a number, or `all`."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, or say what one looks like."""
        if value == "all":
            return ALL
        try:
            number = int(value)
        except ValueError:
            number = -1
        if not 0 <= number <= ALL:
            self.fail(f"{value!r} is no number of keys; write 100 or all.", param, ctx)
        return number


_prove_option = click.option(
    "--prove",
    type=Number(),
    default=PROVE,
    show_default=True,
    metavar="N|all",
    help="Keys of the backup to use, and one of each type in any case; 0: none.",
)


@click.group()
def backup() -> None:
    """Make, verify and restore backups of all keys and objects, on a node's host, as root.

    Example: hsmctl backup create --directory /var/backups/redoubt
    """


@backup.command()
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="The file to write.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Write a file named by cluster and time, then remove those of before --keep-days.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(min=1),
    default=KEEP_DAYS,
    show_default=True,
    metavar="N",
    help="With --directory: how long files are kept. The three newest stay in any case.",
)
@_prove_option
@socket_option
@json_option
@click.pass_context
def create(
    context: click.Context,
    out: Path | None,
    directory: Path | None,
    keep_days: int,
    prove: int,
    path: Path,
    as_json: bool,
) -> None:
    """Write all keys and objects, as of one moment, and verify what was written.

    They are wrapped: whoever has the file needs the master key to have the keys. A file that is not good does not get
    its name, and then no older one is removed.

    Example: hsmctl backup create --out /mnt/safe/redoubt.backup
    """
    if (out is None) == (directory is None):
        raise CommandError("name either --out FILE or --directory DIR", USAGE)
    output = _output(context, as_json)
    with Node(path) as node:
        made = make(node, out, directory)
        try:
            checked = verify(node, made.file.written, prove)
            _refuse_faults(checked, made.file.path)
            made.file.keep()
        finally:
            made.file.drop()
    removed = older_ones(made.file.path, keep_days) if directory is not None else []
    abandoned = abandoned_ones(made.file.path, time.time()) if directory is not None else []
    for old in (*removed, *abandoned):
        old.unlink(missing_ok=True)
    if made.left_out:
        output.note(f"{made.left_out} records of the store are damaged and not in the backup; see the nodes' logs")
    output.result(_made(made, checked, removed), _made_text(made, checked, removed))


@backup.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@_prove_option
@socket_option
@json_option
@click.pass_context
def verify_command(context: click.Context, file: Path, prove: int, path: Path, as_json: bool) -> None:
    """Check that a backup is whole and authentic, and that its keys work. Nothing is changed.

    The node notes when that was, for its metrics.

    Example: hsmctl backup verify --prove all /mnt/safe/redoubt.backup
    """
    output = _output(context, as_json)
    with Node(path) as node:
        checked = verify(node, file, prove)
    _refuse_faults(checked, file)
    output.result(_described(checked), _verified_text(checked))


@backup.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--key", "names", multiple=True, metavar="KEY", help="Only this key or object, by id or label. Repeat.")
@click.option("--partition", type=click.IntRange(1, 0xFFFF_FFFF), metavar="ID", help="Only this partition.")
@click.option(
    "--even-destroyed", multiple=True, metavar="KEY", help="Bring this one back, though it was destroyed since. Repeat."
)
@click.option(
    "--even-changed",
    multiple=True,
    metavar="KEY",
    help="Set this one back to its state in the backup (enabled, label, usages, policy), though it lives. Repeat.",
)
@socket_option
@json_option
@click.pass_context
def restore(
    context: click.Context,
    file: Path,
    dry_run: bool,
    names: tuple[str, ...],
    partition: int | None,
    even_destroyed: tuple[str, ...],
    even_changed: tuple[str, ...],
    path: Path,
    as_json: bool,
) -> None:
    """Make what the cluster lacks of a backup. What lives stays as it is, what was destroyed stays destroyed.

    All of the file is checked before anything is done. Interrupted, it goes on when it is run again.

    Example: hsmctl backup restore --dry-run /mnt/safe/redoubt.backup
    """
    output = _output(context, as_json)
    choice = RestoreChoice(list(names), partition or 0, list(even_destroyed), list(even_changed))
    with Node(path) as node:
        restoring = Restoring(node, file, choice)
        run = restoring.look()
        if dry_run or run.unknown:
            restoring.give_up()
        if run.unknown:
            raise CommandError(
                f"{file}: no key or object in it has the id or label {', '.join(run.unknown)}; correct that"
            )
        if not dry_run:
            run = restoring.apply()
    output.result({"dry_run": dry_run, **_described(run)}, _restored_text(run, dry_run=dry_run))
    if run.counts.get("unreadable"):
        raise CommandError(
            f"{run.counts['unreadable']} records of the backup do not open under the master keys of this node; restore "
            "them where they do"
        )


def _output(context: click.Context, as_json: bool) -> Output:
    return Output(as_json or bool(context.find_root().params.get("as_json")))


def _refuse_faults(run: Run, path: Path) -> None:
    faults = [f"{run.counts[fault]} {fault}" for fault in FAULTS if run.counts.get(fault)]
    if faults:
        first = next((f" ({item.record_id.hex()}: {item.detail})" for item in run.items), "")
        raise CommandError(f"{path}: it is not good: {', '.join(faults)}{first}; use another backup")


def _described(run: Run) -> dict[str, Any]:
    header = run.header
    return {
        "backup": header.backup_id.hex(),
        "cluster": header.cluster,
        "node": header.node,
        "made": moment_text(header.made),
        "revision": header.revision,
        "master_key": header.master_key.hex(),
        "counts": run.counts,
        "records": [
            {"id": item.record_id.hex(), "partition": item.partition, "outcome": item.outcome, "detail": item.detail}
            for item in run.items
        ],
    }


def _made(made: Made, checked: Run, removed: list[Path]) -> dict[str, Any]:
    files = {"file": str(made.file.path), "removed": [str(path) for path in removed]}
    return {**files, "rows": made.rows, "left_out": made.left_out, **_described(checked)}


def _made_text(made: Made, checked: Run, removed: list[Path]) -> str:
    lines = [str(made.file.path), _verified_text(checked)]
    return "\n".join(lines + [f"removed {path}" for path in removed])


def _verified_text(run: Run) -> str:
    header, counts = run.header, run.counts
    destroyed = counts.get("destroyed", 0)
    return pairs(
        {
            "cluster": header.cluster,
            "made": f"{moment_text(header.made)}, revision {header.revision}",
            "master key": f"version {header.master_key_version}, fingerprint {header.master_key.hex()}",
            "records": f"{counts.get('authentic', 0) - destroyed}, and {destroyed} that were destroyed",
            "keys proven": counts.get("proven", 0),
        }
    )


def _restored_text(run: Run, *, dry_run: bool) -> str:
    what = "would be done" if dry_run else "was done"
    counts = run.counts or {"nothing": 0}
    lines = [f"{what}, with the backup of {moment_text(run.header.made)}:"]
    lines += pairs({f"  {outcome}": number for outcome, number in counts.items()}).split("\n")
    lines += [
        f"{item.record_id.hex()} in partition {item.partition}: {item.outcome}, {item.detail}"
        for item in run.items[:SHOWN_ITEMS]
    ]
    more = len(run.items) - SHOWN_ITEMS
    return "\n".join(lines + ([f"and {more} more, with --json"] if more > 0 else []))
