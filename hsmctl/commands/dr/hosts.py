"""Which host the commands act on: this one, or a running `hsmctl dev`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from hsmctl.dev.folder import Folder
from hsmctl.promotion.dev_host import DevHost
from hsmctl.promotion.host import Host
from hsmctl.promotion.systemd_host import SystemdHost
from hsmctl.session import Session

_R = TypeVar("_R")


def folder_option(command: Callable[..., _R]) -> Callable[..., _R]:
    """Add --dir, given as `folder`."""
    return click.option(
        "--dir", "folder", type=click.Path(path_type=Path), metavar="D", help="Folder of `hsmctl dev`."
    )(command)


def host_of(session: Session, folder: Path | None, site: str | None = None) -> Host:
    """Return the host: of `hsmctl dev` in that folder, or in the one of client.toml; else this one.

    Args:
        session: names client.toml.
        folder: of `hsmctl dev`.
        site: of a development cluster, whose sites are all on one host; None: the one for disaster recovery.

    Raises:
        CommandError: there is none.
    """
    if folder is not None:
        return DevHost(Folder(folder), site)
    named = session.config or os.environ.get("HSM_CLIENT_CONFIG")
    if named is not None and (beside := Path(named).expanduser().parent / "dev.json").exists():
        return DevHost(Folder(beside.parent), site)
    return SystemdHost()
