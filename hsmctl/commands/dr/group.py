"""The command group `hsmctl dr`."""

import click

from hsmctl.commands.dr.demote import demote
from hsmctl.commands.dr.drill import drill
from hsmctl.commands.dr.promote import promote
from hsmctl.commands.dr.reconcile import reconcile
from hsmctl.commands.dr.rejoin import rejoin
from hsmctl.commands.dr.status import status
from hsmctl.commands.dr.vouch import vouch


@click.group()
def dr() -> None:
    """Look after the DR site, which takes over when all productive sites are lost.

    Example: hsmctl dr status
    """


for _command in (demote, drill, promote, reconcile, rejoin, status, vouch):
    dr.add_command(_command)
