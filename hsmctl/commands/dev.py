"""hsmctl dev: a whole cluster on this machine."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

import click
import msgspec

from hsmctl.dev.data_centres import make_data_centres
from hsmctl.dev.folder import Folder
from hsmctl.dev.manifest import Manifest
from hsmctl.dev.plan import make_plan
from hsmctl.dev.restart import missing_in, restart, state_of
from hsmctl.dev.soft_tokens import environment, find_module
from hsmctl.dev.supervisor import Supervisor
from hsmctl.failures import USAGE, CommandError
from hsmctl.output import Output
from hsmctl.session import json_option

DEFAULT_FOLDER = "redoubt-dev"
MAX_NODES = 4
"""What the package `sandbox` allows."""
MAX_PROXIES = 8

_folder_option = click.option(
    "--dir", "folder", default=DEFAULT_FOLDER, show_default=True, metavar="D", help="Folder of the cluster."
)


@click.group(invoke_without_command=True)
@_folder_option
@click.option("--nodes", type=click.IntRange(1, MAX_NODES), default=3, show_default=True, help="HSM nodes.")
@click.option("--proxies", type=click.IntRange(1, MAX_PROXIES), default=1, show_default=True, help="Proxies.")
@click.option(
    "--store",
    type=click.Choice(["sqlite", "etcd"]),
    default="sqlite",
    show_default=True,
    help="One host; or etcd, with two active sites (two nodes, a proxy and a member each) and a DR site.",
)
@click.option(
    "--backend",
    type=click.Choice(["software", "softhsm"]),
    default="software",
    show_default=True,
    help="Where keys are: in the nodes, or in a token of SoftHSM2 for each node, behind PKCS#11.",
)
@click.option("--tls", type=click.Choice(["on", "off"]), default="on", show_default=True, help="TLS on all hops.")
@click.option("--event-loop", type=click.Choice(["uvloop", "asyncio"]), help="Event loop of the daemons.")
@json_option
@click.pass_context
def dev(
    context: click.Context,
    folder: str,
    nodes: int,
    proxies: int,
    store: str,
    backend: str,
    tls: str,
    event_loop: str | None,
    as_json: bool,
) -> None:
    """Run a cluster on this machine for trying out; Ctrl-C stops all of it.

    The folder may hold an earlier run: its keys are kept.

    Example: hsmctl dev --dir ./redoubt-dev --nodes 3
    """
    if context.invoked_subcommand is not None:
        return
    as_json = as_json or bool(context.find_root().params.get("as_json"))
    module = find_module() if backend == "softhsm" else None
    if store == "etcd":
        _check_fixed(context)
        plan = make_data_centres(Path(folder), event_loop, module)
    else:
        plan = make_plan(nodes, proxies, tls=tls == "on", event_loop=event_loop, softhsm=module)
    if plan.softhsm is not None:
        os.environ.update(environment(Path(folder).absolute()))  # The daemons inherit it.
    with Supervisor(plan, Folder(Path(folder)), _program()) as supervisor:
        manifest = supervisor.start()
        if manifest is None:
            return
        output = Output(as_json)
        output.result(msgspec.to_builtins(manifest), _welcome(manifest, _program()))
        supervisor.run(output.note)


def _check_fixed(context: click.Context) -> None:
    """Refuse options that a cluster of several sites does not have."""
    for name in ("nodes", "proxies", "tls"):
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise CommandError(f"--{name} is for --store sqlite; leave it out with --store etcd", USAGE)


_DOES: Final = {
    "standby": " and stands by",
    "fenced": " and serves nobody: it is fenced, and its log says what brings it back",
}


@dev.command("start")
@click.argument("name")
@_folder_option
@json_option
@click.pass_context
def start(context: click.Context, name: str, folder: str, as_json: bool) -> None:
    """Start daemon NAME of a running `hsmctl dev` again after it died, or while it ends; wait until it serves, for
    a minute at most.

    Example: hsmctl dev start node-2
    """
    parent = context.parent
    if parent is not None and context.get_parameter_source("folder") is click.core.ParameterSource.DEFAULT:
        folder = parent.params["folder"]
    as_json = as_json or bool(context.find_root().params.get("as_json") or (parent and parent.params["as_json"]))
    where = Folder(Path(folder))
    entry = restart(where, name)
    missing = missing_in(where, name)
    does = "" if missing else _DOES.get(state_of(entry), " and serves")
    output = Output(as_json)
    output.result(
        msgspec.to_builtins(entry),
        f"{name} runs again at {entry.address} (process {entry.pid}){does}",
    )
    if missing:
        output.note(f"{', '.join(missing)} gives it no requests yet; `{_program()} status` shows why")


def _program() -> str:
    """Return what to type for this program: its name if the shell would find it, else its path."""
    installed = Path(sys.executable).with_name("hsmctl")
    found = shutil.which("hsmctl")
    if found is not None and Path(found).resolve() == installed.resolve():
        return "hsmctl"
    return shlex.quote(str(installed)) if installed.exists() else "hsmctl"


def _welcome(manifest: Manifest, program: str) -> str:
    lines = ["The cluster is ready."]
    lines += [f"  proxy {e.name:<8} {e.address:<16} status page http://{e.admin}/" for e in manifest.proxies]
    lines += [f"  node  {e.name:<8} {e.address:<16} metrics http://{e.admin}/metrics" for e in manifest.nodes]
    lines += [f"  store {e.name:<11} {e.address}" for e in manifest.store]
    lines += [
        "Try, in another terminal:",
        f"  export HSM_CLIENT_CONFIG={shlex.quote(manifest.client_config)}",
        f"  {program} key generate --type ec-p256 --label first",
        f"  {program} status",
        "Ctrl-C stops everything.",
    ]
    return "\n".join(lines)
