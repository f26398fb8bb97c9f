"""hsmctl top."""

import asyncio
import sys

import click

from hsm_client.config import load_config
from hsmctl.failures import OK, UNREACHABLE, USAGE, CommandError
from hsmctl.overview.merging import View, merged
from hsmctl.overview.observer import look_once
from hsmctl.overview.page import STATUS_EVENTS, status_document
from hsmctl.proxies import Asker
from hsmctl.session import Session, cluster_options
from hsmctl.terminal import terminal
from hsmctl.top.controls import INTERVALS_S, Controls
from hsmctl.top.keyboard import Keyboard
from hsmctl.top.live import Top


@click.command()
@click.option(
    "--interval",
    type=click.Choice([f"{each:g}" for each in INTERVALS_S]),
    default="1",
    show_default=True,
    help="Seconds between two looks; + and - change it.",
)
@cluster_options
def top(session: Session, interval: str) -> int:
    """Show the cluster live on the whole screen; exit 0 if it served at the end, else 3.

    Keys: q quit, space pause, Tab nodes, paths or events, s sort, h help. With --json what `hsmctl status --json`
    prints, once.

    Example: hsmctl top
    """
    asker = Asker(load_config(session.config, session.proxies), session.timeout_s)
    if session.out.as_json:
        seen = merged(asyncio.run(look_once(asker, STATUS_EVENTS)))
        session.out.result(status_document(seen))
        return OK if seen.serves else UNREACHABLE
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError("top needs a terminal; use `hsmctl status`, --watch or --json elsewhere", USAGE)
    view = asyncio.run(_run(asker, Controls(interval_s=float(interval))))
    return OK if view is None or view.serves else UNREACHABLE


async def _run(asker: Asker, controls: Controls) -> View | None:
    running = Top(asker, terminal(), Keyboard(sys.stdin.fileno()), controls)
    await running.run()
    return running.view
