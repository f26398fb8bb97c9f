"""hsmctl dr reconcile: what only the side has that a promotion has left behind."""

from pathlib import Path
from typing import Any, Final

import click

from hsm_wire.backup_messages import RestoreChoice
from hsm_wire.opcodes import Opcode
from hsmctl.backup_runs import Node, Restoring, Run, make
from hsmctl.commands.dr.hosts import folder_option, host_of
from hsmctl.failures import CommandError
from hsmctl.output import pairs
from hsmctl.passing_folders import passing_folder
from hsmctl.session import Session, cluster_options

SHOWN: Final = 20
"""Records that are named; with --json it is up to a thousand."""
NEWS: Final = ("made", "made, destroyed", "destroyed", "stricter")
"""Outcomes by which the store of this side changes."""
_ALL: Final = RestoreChoice()


@click.command()
@click.option("--apply", "applies", is_flag=True, help="Import it; without this it is only listed.")
@click.option(
    "--backup",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Made of the old side by `hsmctl backup create` there, where no member of its store can be reached from here.",
)
@folder_option
@cluster_options
def reconcile(session: Session, applies: bool, file: Path | None, folder: Path | None) -> None:
    """List what only the old side has, and import it. Run it as root on a host of the side that was promoted.

    It is read from a member of the old side's store, or from a backup of a node of it. Keys and objects that are not
    here are made; what was destroyed there is destroyed here, and of what lives on both sides the stricter state holds.
    Nothing that is destroyed comes back, conflicts are named, and what was imported is not imported again.

    Example: hsmctl dr reconcile --apply
    """
    socket = host_of(session, folder).sockets[0]
    with Node(socket) as node:
        if file is not None:
            run = _run(node, file, applies=applies)
        else:
            with passing_folder(socket.parent, "left-behind-") as place:
                made = make(node, place / "left-behind.backup", None, left_behind=True)
                run = _run(node, made.file.written, applies=applies)
    session.out.result(_described(run, applies=applies), _text(run, applies=applies))
    if run.counts.get("unreadable"):
        raise CommandError(
            f"{run.counts['unreadable']} records of the old side do not authenticate under the master keys of this "
            "node and were not taken; they are damaged or forged"
        )


def _run(node: Node, file: Path, *, applies: bool) -> Run:
    restoring = Restoring(node, file, _ALL, Opcode.DR_RECONCILE)
    run = restoring.look()
    if applies:
        return restoring.apply()
    restoring.give_up()
    return run


def _described(run: Run, *, applies: bool) -> dict[str, Any]:
    header = run.header
    return {
        "applied": applies,
        "from": header.node,
        "epoch": header.epoch,
        "revision": header.revision,
        "counts": run.counts,
        "records": [
            {"id": item.record_id.hex(), "partition": item.partition, "outcome": item.outcome, "detail": item.detail}
            for item in run.items
        ],
    }


def _text(run: Run, *, applies: bool) -> str:
    header, what = run.header, "was done" if applies else "would be done"
    lines = [f"{what}, with what {header.node} has (epoch {header.epoch}, revision {header.revision}):"]
    lines += pairs({f"  {outcome}": number for outcome, number in (run.counts or {"nothing": 0}).items()}).split("\n")
    lines += [
        f"{item.record_id.hex()} in partition {item.partition}: {item.outcome}, {item.detail}"
        for item in run.items[:SHOWN]
    ]
    if len(run.items) > SHOWN:
        lines.append(f"and {len(run.items) - SHOWN} more, with --json")
    news = sum(run.counts.get(outcome, 0) for outcome in NEWS)
    if not news:
        lines.append("this side has all of it")
    elif not applies:
        lines.append("nothing was changed; `hsmctl dr reconcile --apply` imports it")
    return "\n".join(lines)
