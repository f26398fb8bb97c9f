"""The command group `hsmctl dr`."""

import click

from hsmctl.commands.dr.promote import promote


@click.group()
def dr() -> None:
    """Look after the DR site, which takes over when all productive sites are lost.

    Example: hsmctl dr promote --force
    """


for _command in (promote,):
    dr.add_command(_command)
