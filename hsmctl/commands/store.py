"""hsmctl store: the store as a whole, while its nodes are stopped."""

from pathlib import Path

import click

from hsmctl.dev.daemon import own_command
from hsmctl.failures import USAGE, CommandError
from hsmctl.node_program import run_to_report
from hsmctl.output import Output
from hsmctl.session import json_option

PROGRAM = "hsm_node.migration"


@click.group()
def store() -> None:
    """Move the store of a cluster whose nodes are stopped.

    Example: hsmctl store migrate --from /var/lib/redoubt/store.db --to /etc/redoubt/node.toml
    """


@store.command()
@click.option(
    "--from", "source", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The SQLite store."
)
@click.option(
    "--to",
    "config",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="node.toml of one node, whose [store] is the etcd.",
)
@click.option(
    "--undo", is_flag=True, help="Make the SQLite file the store again, if nothing was changed in etcd since."
)
@click.option("--force", is_flag=True, help="With --undo: whatever was changed in etcd since is lost; it is not asked.")
@json_option
@click.pass_context
def migrate(context: click.Context, source: Path, config: Path, undo: bool, force: bool, as_json: bool) -> None:
    """Move all records from an SQLite store to an empty etcd, unchanged. The nodes are stopped meanwhile.

    No master key is needed. Both sides are compared at the end, and the SQLite file is marked, so that no node starts
    on it. Interrupted, it goes on when it is run again.

    Example: hsmctl store migrate --from /var/lib/redoubt/store.db --to /etc/redoubt/node.toml
    """
    if force and not undo:
        raise CommandError("--force is for --undo; a target that is in use is never written over", USAGE)
    command = [*own_command(PROGRAM, config), "--from", str(source)]
    command += [option for option, given in (("--undo", undo), ("--force", force)) if given]
    output = Output(as_json or bool(context.find_root().params.get("as_json")))
    report = run_to_report(command, output.note)
    output.result(report, (_undone if undo else _moved)(report, source))


def _moved(report: dict[str, object], source: Path) -> str:
    if report["already"]:
        return f"the store was moved to {report['place']} already; nothing was done"
    return (
        f"{report['records']} records moved to {report['place']}, {report['written']} of them in this run\n"
        f"digest of both sides: {report['digest']}\n"
        f"{source} is marked as moved: set [store] of every node.toml to the etcd, then start the nodes"
    )


def _undone(report: dict[str, object], source: Path) -> str:
    return f"{source} is the store again, with {report['records']} records; set [store] of every node.toml back to it"
