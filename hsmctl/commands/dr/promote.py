"""hsmctl dr promote: the DR site takes over."""

from pathlib import Path

import click
import msgspec

from hsmctl.commands.dr.hosts import folder_option, host_of
from hsmctl.commands.dr.naming import ask_for_name
from hsmctl.promotion.promote import Promoted, Promotion
from hsmctl.session import Session, cluster_options


@click.command()
@click.option("--force", is_flag=True, help="The productive sites are off, and stay off: nobody asks them any more.")
@click.option("--yes", is_flag=True, help="Do not ask for the cluster's name.")
@folder_option
@cluster_options
def promote(session: Session, force: bool, yes: bool, folder: Path | None) -> None:
    """Have the DR site serve: run it as root on a host of that site. It asks for the cluster's name.

    No certificate is needed. Where the store's majority was lost with the productive sites, --force goes on with the
    copy of this site alone; what is not in that copy is lost. A cluster of `hsmctl dev` is found by --dir or its
    client.toml, from anywhere.

    Example: hsmctl dr promote --force
    """
    promotion = Promotion(host_of(session, folder), session.out.note, force=force)
    cluster = promotion.look()
    if not yes:
        ask_for_name(f"The DR site of {cluster} is to serve", cluster)
    done = promotion.run(cluster)
    session.out.result(msgspec.to_builtins(done), _text(done))


def _text(done: Promoted) -> str:
    lines = [f"the DR site of {done.cluster} serves, epoch {done.epoch} ({done.seconds:g} s)"]
    if done.own_store:
        lines.append(f"its member is a store of its own now; what it was before is kept in {done.kept}")
        lines.append("keep the productive sites off until docs/disaster-recovery.md brings them back")
    return "\n".join(lines)
