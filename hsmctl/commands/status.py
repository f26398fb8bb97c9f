"""hsmctl status."""

import asyncio
import json
import shutil
import sys
from typing import Final

import click

from hsm_client.config import load_config
from hsmctl.failures import OK, UNREACHABLE, CommandError
from hsmctl.output import standard_output
from hsmctl.overview.merging import View, merged
from hsmctl.overview.observer import Observer, look_once
from hsmctl.overview.page import STATUS_EVENTS, status_document, status_page
from hsmctl.overview.repeating import repeat
from hsmctl.proxies import Asker
from hsmctl.session import Session, cluster_options
from hsmctl.terminal import PIPE_COLUMNS, Drawing, show

WATCH_S: Final = 2.0
"""Between two looks, where nobody says."""


@click.command()
@click.option(
    "--watch",
    is_flag=False,
    flag_value=WATCH_S,
    type=click.FloatRange(min=0.2, max=3600),
    metavar="[SECONDS]",
    help=f"Look again every so many seconds [{WATCH_S:g}] until Ctrl-C; with --json one document a line.",
)
@cluster_options
def status(session: Session, watch: float | None) -> int:
    """Show health, proxies, nodes and the latest events on one screen; exit 0 while the cluster serves, else 3.

    Every proxy of client.toml is asked; rates are added up, times are those of the slowest. SHARE, REQ/S, P50 and P99
    are of the last 10 s. IN FLIGHT is beside the window that a node wants. ANSWERS counts those of a node, MOVED the
    requests that left it for another one; both since the proxies started. `store:` says what a node's store lacks, or
    how it differs, compared with those of other nodes.

    Example: hsmctl status --watch
    """
    asker = Asker(load_config(session.config, session.proxies), session.timeout_s)
    if watch is None:
        view = merged(asyncio.run(look_once(asker, STATUS_EVENTS)))
        _show(session, view)
        return _code(view)
    return _watch(session, asker, watch)


def _show(session: Session, view: View) -> None:
    if session.out.as_json:
        session.out.result(status_document(view))
    else:
        show(status_page(view, _width()))


def _watch(session: Session, asker: Asker, interval_s: float) -> int:
    last: list[View] = []
    on_terminal = sys.stdout.isatty() and not session.out.as_json

    async def look(observer: Observer) -> None:
        view = merged(await observer.look(STATUS_EVENTS))
        last[:] = [view]
        if on_terminal:
            drawing.draw(status_page(view, _width()))
            return
        with standard_output():
            click.echo(json.dumps(status_document(view)) if session.out.as_json else "", nl=session.out.as_json)
        if not session.out.as_json:
            show([*status_page(view, PIPE_COLUMNS), ""])

    with Drawing(on=on_terminal) as drawing:
        repeat(asker, look, interval_s)
    return OK if last and last[0].serves else UNREACHABLE


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_COLUMNS


def _code(view: View) -> int:
    if view.serves:
        return OK
    if view.drained:
        raise CommandError("no node serves: all that are up are drained; hsmctl node enable NAME", UNREACHABLE)
    raise CommandError("no node serves; see the reasons above and the nodes' logs", UNREACHABLE)
