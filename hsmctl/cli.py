"""The command group `hsmctl`."""

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import click

from hsm_client.errors import HsmError
from hsmctl.commands.backup import backup
from hsmctl.commands.bench import bench
from hsmctl.commands.cert import cert
from hsmctl.commands.completion import completion
from hsmctl.commands.csr import csr
from hsmctl.commands.data import decrypt, encrypt
from hsmctl.commands.dev import dev
from hsmctl.commands.doctor import doctor
from hsmctl.commands.dr.group import dr
from hsmctl.commands.events import events
from hsmctl.commands.key import key
from hsmctl.commands.master_key import master_key
from hsmctl.commands.node import node
from hsmctl.commands.object import object_group
from hsmctl.commands.random import random
from hsmctl.commands.selftest import selftest
from hsmctl.commands.signing import sign, verify
from hsmctl.commands.status import status
from hsmctl.commands.store import store
from hsmctl.commands.top import top
from hsmctl.commands.unseal import unseal
from hsmctl.failures import FAILED, OK, USAGE, CommandError, exit_code_of, line_of, one_line
from hsmctl.printable import printable
from hsmctl.session import timeout_option

INTERRUPTED = 130
"""What shells give a program that Ctrl-C ended."""


class Program(click.Group):
    """A group whose every error is one line on standard error and one of our exit codes."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command line and exit."""
        options["standalone_mode"] = False
        options.setdefault("prog_name", "hsmctl")
        sys.exit(run(lambda: click.Group.main(self, *args, **options)))


def run(command: Callable[[], object]) -> int:
    """Run and return the exit code; errors are said on standard error."""
    try:
        code = command()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return USAGE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "hsmctl"
        line = one_line(error.format_message())
        return _say(f"{line}{'' if line.endswith(('.', '?')) else '.'} See `{path} --help`.", USAGE)
    except click.ClickException as error:
        return _say(one_line(error.format_message()), USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except (CommandError, HsmError) as error:
        return _say(line_of(error), exit_code_of(error))
    except BrokenPipeError:
        # Whoever read our output has left; there is nobody to tell.
        sys.stderr.close()
        return FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}; check the file, the space left or the address", FAILED)
    return code if isinstance(code, int) else OK


def _say(line: str, code: int) -> int:
    with contextlib.suppress(OSError):  # Where standard error is full or gone there is nobody to tell.
        click.echo(f"hsmctl: {printable(line)}", err=True)
    return code


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", metavar="FILE", help="client.toml of the cluster [HSM_CLIENT_CONFIG].")
@click.option("--proxy", metavar="HOST:PORT[,...]", help="Proxies to use instead of the file's [HSM_PROXY].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
@timeout_option
@click.version_option(package_name="redoubt", prog_name="hsmctl")
def main(config: str | None, proxy: str | None, as_json: bool, timeout: float | None) -> None:
    """Use and look after a Redoubt cluster.

    Example: `hsmctl dev` starts a cluster to try out; `hsmctl status` shows it.
    """


for _command in (
    backup,
    bench,
    cert,
    completion,
    csr,
    decrypt,
    dev,
    doctor,
    dr,
    encrypt,
    events,
    key,
    master_key,
    node,
    object_group,
    random,
    selftest,
    sign,
    status,
    store,
    top,
    unseal,
    verify,
):
    main.add_command(_command)

if __name__ == "__main__":
    main()
