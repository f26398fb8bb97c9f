"""hsmctl bench: real load through the proxy."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Final

import click
import uvloop
from rich.console import Console
from rich.live import Live
from rich.text import Text

from hsm_client.cluster import DEFAULT_TIMEOUT_S
from hsm_client.config import load_config
from hsmctl.bench.load import Load
from hsmctl.bench.plan import LoadPlan
from hsmctl.bench.report import document_of, failure_line, progress_line, text_of
from hsmctl.bench.requests import prepare
from hsmctl.failures import CommandError
from hsmctl.mechanism_names import MEASURABLE, MechanismName
from hsmctl.session import Session, cluster_options

DEFAULT_SECONDS: Final = 10.0
MAX_CLIENTS: Final = 10_000
MAX_IN_FLIGHT: Final = 256
"""What one connection of a client may have in flight."""
MAX_SIZE_BYTES: Final = 512 * 1024


@click.command()
@click.option("--key", "name", required=True, metavar="KEY", help="Id or label.")
@click.option(
    "--mechanism",
    required=True,
    type=MechanismName(MEASURABLE),
    metavar="M",
    help=f"One of {', '.join(MEASURABLE)}.",
)
@click.option("--clients", type=click.IntRange(1, MAX_CLIENTS), default=8, show_default=True, help="Connections.")
@click.option(
    "--in-flight",
    type=click.IntRange(1, MAX_IN_FLIGHT),
    default=1,
    show_default=True,
    help="Requests at a time on each.",
)
@click.option(
    "--seconds", type=click.FloatRange(0.1, 86_400), help=f"How long [{DEFAULT_SECONDS:g} without --requests]."
)
@click.option("--requests", "total", type=click.IntRange(1), help="Stop after that many requests.")
@click.option("--rate", type=click.FloatRange(0.1), help="Requests a second to start, however slow the answers are.")
@click.option("--size", type=click.IntRange(1, MAX_SIZE_BYTES), default=128, show_default=True, help="Bytes of data.")
@click.option("--no-retry", is_flag=True, help="Count what the client library would send again as an error.")
@cluster_options
def bench(
    session: Session,
    name: str,
    mechanism: str,
    clients: int,
    in_flight: int,
    seconds: float | None,
    total: int | None,
    rate: float | None,
    size: int,
    no_retry: bool,
) -> None:
    """Measure throughput and latency; exit 1 on any error. Ctrl-C ends it early, with the figures so far.

    Example: hsmctl bench --key tls --mechanism ecdsa-sha256 --clients 64 --seconds 10
    """
    if seconds is None and total is None:
        seconds = DEFAULT_SECONDS
    with session.cluster() as cluster:
        key = cluster.key(name)
        key_id = key.info.key_id
    plan = LoadPlan(clients, in_flight, seconds, total, rate, not no_retry, session.timeout_s or DEFAULT_TIMEOUT_S)
    load = Load(load_config(session.config, session.proxies), plan, prepare(key_id, mechanism, size))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        document = runner.run(_measure(load, live=not session.out.as_json and sys.stderr.isatty()))
    session.out.result(document, text_of(document))
    if document["errors"]:
        raise CommandError(failure_line(document))


async def _measure(load: Load, *, live: bool) -> dict[str, object]:
    with _ended_by_interrupt(load):
        return await _measured(load, live=live)


@contextlib.contextmanager
def _ended_by_interrupt(load: Load) -> Iterator[None]:
    """Have the first Ctrl-C end the measurement; the second one ends the program, as ever."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        load.end()

    loop.add_signal_handler(signal.SIGINT, end)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _measured(load: Load, *, live: bool) -> dict[str, object]:
    if not live:
        await load.run()
        return document_of(load)
    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as display:
        await load.run(_show_on(display))
    return document_of(load)


def _show_on(display: Live) -> Callable[[Load], None]:
    return lambda load: display.update(Text(progress_line(load)), refresh=True)
