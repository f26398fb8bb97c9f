"""hsmctl dr rejoin: a host of an old site comes back to the store that went on without it."""

from pathlib import Path

import click
import msgspec

from hsmctl.commands.dr.hosts import folder_option, host_of
from hsmctl.commands.dr.naming import ask_for_name
from hsmctl.promotion.rejoining import Rejoined, Rejoining
from hsmctl.session import Session, cluster_options


@click.command()
@click.option("--force", is_flag=True, help="What only the old side has is given up: nobody looks for it.")
@click.option("--yes", is_flag=True, help="Do not ask for the cluster's name.")
@click.option("--to", "endpoint", metavar="HOST:PORT", help="Member of the DR site [dr_endpoint of the nodes' files].")
@click.option("--site", metavar="NAME", help="The old site, in `hsmctl dev`, which has all sites on one host.")
@folder_option
@cluster_options
def rejoin(
    session: Session, force: bool, yes: bool, endpoint: str | None, site: str | None, folder: Path | None
) -> None:
    """Have this host's store member join the promoted store anew, and its nodes follow that: run it as root on each
    host of an old site that has a member. It asks for the cluster's name.

    What the old store has and the promoted one has not is out of sight from then on. So it is refused until
    `hsmctl dr reconcile --apply` at the DR site has taken that over, or --force says that it is given up. The member's
    old data stay beside the new ones. A run that was interrupted is run again.

    Example: hsmctl dr rejoin
    """
    rejoining = Rejoining(host_of(session, folder, site), session.out.note, endpoint or "")
    cluster = rejoining.look()
    if not force:
        rejoining.check_joined(cluster)
    if not yes:
        given_up = ", and what only the old side has is given up" if force else ""
        ask_for_name(f"This host's member is to join the promoted store of {cluster}{given_up}", cluster)
    done = rejoining.run(cluster)
    session.out.result(msgspec.to_builtins(done), _text(done))


def _text(done: Rejoined) -> str:
    there = f"{done.member} is a member of the promoted store" if done.member else "nodes follow the promoted store"
    lines = [f"{there} of {done.cluster} ({done.seconds:g} s)"]
    if done.kept:
        lines.append(f"what it was before is kept in {done.kept}")
    return "\n".join(lines)
