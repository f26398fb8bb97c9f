"""`hsm-node --config FILE [--check]`, and the commands of the ceremony."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from hsm_cluster.errors import ConfigurationError
from hsm_daemon import ending, exit_codes, hardening, lifecycle, logs, memory
from hsm_daemon.errors import StartError
from hsm_daemon.tls import load_certificates
from hsm_node.app import run_node
from hsm_node.backends.pkcs11.settings import DeviceSettings
from hsm_node.ceremony_commands import init, join, show_record, trust
from hsm_node.config import load_node_config, maybe_warning
from hsm_node.key_device import check_device
from hsm_node.next_master_key import check_master_keys


class _Commands(click.Group):
    """Errors of a command are one line, as those of the node."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (ConfigurationError, StartError) as error:
            click.echo(f"{logs.journal_prefix('error')}hsm-node: {error}", err=True)
            sys.exit(exit_codes.CONFIGURATION)


@click.group(cls=_Commands, invoke_without_command=True)
@click.option(
    "--config", "config_file", required=True, type=click.Path(path_type=Path), help="The node's file, node.toml."
)
@click.option("--check", is_flag=True, help="Validate, print what holds without secrets, and exit with 0 or 2.")
@click.version_option(package_name="redoubt", prog_name="hsm-node")
@click.pass_context
def main(context: click.Context, config_file: Path, *, check: bool) -> None:
    """Run one HSM node; or, with a command, bring a master key into its device.

    Example: hsm-node --config /etc/redoubt/node.toml
    """
    hardening.refuse_dumps()
    if context.invoked_subcommand is not None:
        context.obj = config_file
        return
    config, cluster = load_node_config(config_file)
    logs.configure("hsm-node", config.log)
    if check:
        load_certificates(config.tls_files)
        check_master_keys(config.keystore)
        if isinstance(config.backend, DeviceSettings):
            check_device(config.backend)
        if warning := maybe_warning(config, cluster):
            click.echo(f"{logs.journal_prefix('warning')}hsm-node: warning: {config_file}: {warning}", err=True)
        click.echo(json.dumps(config.effective() | {"durability": cluster.durability}, indent=2))
        sys.exit(exit_codes.OK)
    memory.map_large_blocks()
    hardening.lock_memory()
    code = lifecycle.run(lambda life: run_node(config_file.absolute(), config, cluster, life), config.event_loop)
    ending.leave(code)


main.add_command(init)
main.add_command(join)
main.add_command(trust)
main.add_command(show_record, "record")


if __name__ == "__main__":
    main()
