"""The command `hsm-proxy`."""

import json
import sys
from pathlib import Path

import click

from hsm_cluster.errors import ConfigurationError
from hsm_daemon import exit_codes, hardening, lifecycle, logs
from hsm_daemon.errors import StartError
from hsm_daemon.tls import load_certificates
from proxy.config import load_config
from proxy.process import run_proxy
from proxy.workers.child import adopted
from proxy.workers.worker import run_worker


@click.command()
@click.option(
    "--config", "path", required=True, type=click.Path(path_type=Path), help="The proxy's settings, a proxy.toml."
)
@click.option(
    "--check",
    is_flag=True,
    help="Check the settings and the certificates, print them with all defaults as JSON, and end.",
)
@click.version_option(package_name="redoubt")
def main(path: Path, check: bool) -> None:
    """Give each request of a client to one random HSM node, and to another one when that node is lost.

    Example: hsm-proxy --config proxy.toml
    """
    logs.configure("hsm-proxy")
    hardening.refuse_dumps()
    try:
        place = adopted()
        if place is not None:
            sys.exit(run_worker(path, *place))
        config = load_config(path)
        logs.configure("hsm-proxy", config.file.log)
        if check:
            load_certificates(config.tls)
            click.echo(json.dumps(config.effective(), indent=2))
            return
        code = lifecycle.run(lambda life: run_proxy(config, life), config.file.event_loop)
    except (ConfigurationError, StartError) as error:
        click.echo(f"{logs.journal_prefix('error')}hsm-proxy: {error}", err=True)
        sys.exit(exit_codes.CONFIGURATION)
    sys.exit(code)


if __name__ == "__main__":
    main()
