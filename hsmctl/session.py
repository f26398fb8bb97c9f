"""How a command finds and opens the cluster: its options, and the client made from them."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

import hsm_client.sync
from hsm_client.cluster import DEFAULT_TIMEOUT_S
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsmctl.output import Output

_P = ParamSpec("_P")
_R = TypeVar("_R")

GENERATE_TIMEOUT_S = OPERATIONS[Opcode.GENERATE_KEY].default_timeout_ms / 1000

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=600),
    metavar="SECONDS",
    help="How long one operation may take, connecting included "
    f"[{DEFAULT_TIMEOUT_S:g}, making a key {GENERATE_TIMEOUT_S:g}].",
)


class Session:
    """What the options common to all commands say."""

    def __init__(self, config: str | None, proxy: str | None, as_json: bool, timeout_s: float | None) -> None:
        self.config = config
        self.proxies = proxy.split(",") if proxy else None
        self.timeout_s = timeout_s
        """How long one operation may take, the first one with connecting; None where the user did not say: then each
        has the time that it needs."""
        self.out = Output(as_json)

    @contextmanager
    def cluster(self, *, retry: bool = True) -> Iterator[hsm_client.sync.Hsm]:
        """Open the cluster for the length of a with block."""
        cluster = hsm_client.sync.connect(self.config, proxies=self.proxies, timeout_s=self.timeout_s, retry=retry)
        try:
            # Where the user said how long, connecting is part of it: the first operation connects, within its own time.
            if self.timeout_s is None:
                cluster.open()
            yield cluster
        finally:
            cluster.close()


def json_option(command: Callable[..., _R]) -> Callable[..., _R]:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")(command)


def cluster_options(command: Callable[Concatenate[Session, _P], _R]) -> Callable[..., _R]:
    """Add --config, --proxy, --timeout and --json, given as a Session; those before the command hold too."""

    @functools.wraps(command)
    def with_session(*args: Any, **options: Any) -> _R:
        above = click.get_current_context().find_root().params
        own = {name: options.pop(name) for name in ("config", "proxy", "as_json", "timeout")}
        session = Session(
            own["config"] or above.get("config"),
            own["proxy"] or above.get("proxy"),
            bool(own["as_json"] or above.get("as_json")),
            own["timeout"] if own["timeout"] is not None else above.get("timeout"),
        )
        return command(session, *args, **options)

    config = click.option("--config", metavar="FILE", help="client.toml of the cluster [HSM_CLIENT_CONFIG].")
    proxy = click.option("--proxy", metavar="HOST:PORT[,...]", help="Proxies to use instead of the file's [HSM_PROXY].")
    return config(proxy(timeout_option(json_option(with_session))))
