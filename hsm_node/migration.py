"""The program behind `hsmctl store migrate`: `python -m hsm_node.migration --config FILE --from STORE`.

Standard output has the report, as one JSON document; standard error lines about progress, and at the end why it failed.
"""

import contextlib
import sys
from pathlib import Path
from typing import Final, NoReturn

import click
import msgspec

from hsm_cluster.errors import ConfigurationError
from hsm_daemon import exit_codes, hardening, logs
from hsm_daemon.errors import StartError
from hsm_node.config import NodeConfig, load_node_config
from hsm_node.store.base import StoreError
from hsm_node.store.etcd.calls import CompactedError
from hsm_node.store.migration.errors import MigrationError
from hsm_node.store.migration.moving import Report, bring_back, migrate
from hsm_node.store.migration.source import Source
from hsm_node.store.migration.target import Target

FAILURE: Final = "error: "
"""Before the one line that says why."""
AGAIN: Final = "the same command goes on from there"
INTERRUPTED: Final = 130
"""What shells give a program that Ctrl-C ended."""


@click.command()
@click.option("--config", "config_file", required=True, type=click.Path(path_type=Path), help="A node.toml on etcd.")
@click.option("--from", "source_file", required=True, type=click.Path(path_type=Path), help="The SQLite store.")
@click.option("--undo", is_flag=True, help="Make the SQLite file the store again.")
@click.option("--force", is_flag=True, help="With --undo: without a look at etcd.")
def main(config_file: Path, source_file: Path, *, undo: bool, force: bool) -> None:
    """Move a store from SQLite to etcd, or bring it back."""
    hardening.refuse_dumps()
    try:
        config, cluster = load_node_config(config_file)
        logs.configure("hsm-node", config.log)
        report = _run(config, source_file, cluster.name, undo=undo, force=force)
    except (ConfigurationError, StartError, MigrationError) as error:
        _fail(str(error), exit_codes.CONFIGURATION)
    except (StoreError, CompactedError) as error:
        _fail(f"etcd: {error}; look at its members; {AGAIN}", exit_codes.FAILED)
    except KeyboardInterrupt:
        _fail(f"interrupted; {AGAIN}", INTERRUPTED)
    click.echo(msgspec.json.encode(report))


def _run(config: NodeConfig, source_file: Path, cluster: str, *, undo: bool, force: bool) -> Report:
    if config.store.driver != "etcd":
        raise MigrationError('[store] of the node.toml has to be that of the nodes afterwards: driver = "etcd"')
    with contextlib.ExitStack() as held:
        source = held.enter_context(contextlib.closing(Source(source_file, cluster)))
        if undo and force:
            return bring_back(source, None)
        target = held.enter_context(contextlib.closing(Target(config.store.endpoints, config.store.tls_files)))
        return bring_back(source, target) if undo else migrate(source, target, _tell)


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):  # Whoever listened has gone; what is done is done all the same.
        click.echo(line, err=True)


def _fail(line: str, code: int) -> NoReturn:
    _tell(f"{FAILURE}{line}")
    sys.exit(code)


if __name__ == "__main__":
    main()
