"""hsmctl dr status: whether the DR site could take over now."""

from pathlib import Path
from typing import Any

import click

from hsm_wire.administration import DrStatus
from hsm_wire.opcodes import Opcode
from hsmctl.commands.dr.asking import ask, socket_option
from hsmctl.commands.dr.drill_texts import document_of, keys_text, lag_text
from hsmctl.failures import FAILED, OK
from hsmctl.moments import moment_text
from hsmctl.output import pairs
from hsmctl.session import Session, cluster_options


@click.command()
@socket_option
@cluster_options
def status(session: Session, path: Path | None) -> int:
    """Show whether the DR site could take over now; exit 1 where something is wrong, which is named with what to do.

    A node of the DR site answers, through any proxy that reaches it.

    Example: hsmctl dr status --json
    """
    seen = ask(session, path, Opcode.DR_STATUS, DrStatus)
    problems = [f"wrong: {problem.what}; {problem.advice}" for problem in seen.problems]
    session.out.result(_document(seen), "\n".join([pairs(_fields(seen)), *problems]))
    return FAILED if problems else OK


def _fields(seen: DrStatus) -> dict[str, object]:
    lag = lag_text(seen.lag_records, seen.lag_ms)
    fields: dict[str, object] = {
        "cluster": f"{seen.cluster}, package {seen.package}",
        "DR site": f"{seen.site}, node {seen.node}",
        "state": seen.state,
        "epoch": seen.epoch,
        "keys": seen.keys,
    }
    if not seen.promoted:
        fields["lag"] = f"{lag} (objective {seen.objective_ms / 1000:g} s)"
    last = seen.last
    if last is None:
        fields["last drill"] = f"none yet; one comes every {seen.drill_interval_ms / 1000:g} s"
    else:
        good = "good" if last.good else "NOT good"
        fields["last drill"] = f"{good}, {moment_text(last.at)}: {keys_text(last)}"
        if not last.good:
            fields["last good drill"] = moment_text(seen.last_good) if seen.last_good else "never"
    return fields


def _document(seen: DrStatus) -> dict[str, Any]:
    return {
        "cluster": seen.cluster,
        "package": seen.package,
        "site": seen.site,
        "node": seen.node,
        "state": seen.state,
        "promoted": seen.promoted,
        "epoch": seen.epoch,
        "keys": seen.keys,
        "lag_records": seen.lag_records,
        "lag_seconds": None if seen.lag_ms is None else seen.lag_ms / 1000,
        "objective_seconds": seen.objective_ms / 1000,
        "drill_seconds": seen.drill_interval_ms / 1000,
        "last_drill": None if seen.last is None else document_of(seen.last),
        "last_good_drill": moment_text(seen.last_good) if seen.last_good else None,
        "problems": [{"what": problem.what, "advice": problem.advice} for problem in seen.problems],
    }
