"""hsmctl dr drill: the DR site serves what it would have to serve, without being part of the cluster."""

from pathlib import Path

import click

from hsm_wire.administration import DrillReport, DrStatus
from hsm_wire.opcodes import Opcode
from hsmctl.commands.dr.asking import ask, socket_option
from hsmctl.commands.dr.drill_texts import document_of, keys_text, lag_text, rto_text
from hsmctl.failures import FAILED, OK
from hsmctl.output import pairs
from hsmctl.session import Session, cluster_options


@click.command()
@socket_option
@cluster_options
def drill(session: Session, path: Path | None) -> int:
    """Have the DR node try everything with the replicated keys now; exit 1 where something would fail.

    It checks every mechanism by known answers, measures what its copy of the store lacks (RPO), reads and authenticates
    every record of that copy, and uses keys of every type. RTO is the time until all that the keys are for was done
    with them. Clients notice nothing, and nothing stays but the result, which `hsmctl dr status` shows.

    Example: hsmctl dr drill
    """
    if path is None:
        # Its link to a proxy may be new: that is waited for as long as a status may take, not as long as a drill.
        ask(session, path, Opcode.DR_STATUS, DrStatus)
    report = ask(session, path, Opcode.DR_DRILL, DrillReport)
    fields: dict[str, object] = {
        "node": report.node,
        "result": "good" if report.good else "NOT good",
        "RTO": rto_text(report),
        "RPO": lag_text(report.lag_records, report.lag_ms),
        "keys": keys_text(report),
    }
    lines = [f"served  {kind}" for kind in report.kinds] + [f"fault   {text}" for text in report.faults]
    session.out.result(document_of(report), "\n".join([pairs(fields), *lines]))
    return OK if report.good else FAILED
