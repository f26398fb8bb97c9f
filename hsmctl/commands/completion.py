"""hsmctl completion."""

import click
from click.shell_completion import get_completion_class

from hsmctl.failures import USAGE, CommandError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands and options in SHELL.

    Example: eval "$(hsmctl completion bash)"
    """
    form = get_completion_class(shell)
    if form is None:
        raise CommandError(f"no completion for {shell}; use bash, zsh or fish", USAGE)
    click.echo(form(context.find_root().command, {}, "hsmctl", "_HSMCTL_COMPLETE").source())
