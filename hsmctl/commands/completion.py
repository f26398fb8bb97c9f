"""hsmctl completion."""

import click
from click.shell_completion import get_completion_class

from hsmctl.failures import USAGE, CommandError
from hsmctl.output import Output
from hsmctl.session import json_option


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
def completion(context: click.Context, shell: str, as_json: bool) -> None:
    """Print a script that completes commands and options in SHELL.

    Example: eval "$(hsmctl completion bash)"
    """
    form = get_completion_class(shell)
    if form is None:
        raise CommandError(f"no completion for {shell}; use bash, zsh or fish", USAGE)
    root = context.find_root()
    script = form(root.command, {}, "hsmctl", "_HSMCTL_COMPLETE").source()
    Output(as_json or bool(root.params.get("as_json"))).result({"shell": shell, "script": script}, script)
