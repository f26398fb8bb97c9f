"""hsmctl doctor."""

from pathlib import Path

import click

from hsmctl.doctor.examining import examine
from hsmctl.doctor.page import document, page
from hsmctl.failures import FAILED, OK
from hsmctl.session import Session, cluster_options
from hsmctl.terminal import show


@click.command()
@click.option(
    "--config-dir",
    "places",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="On a daemon's host: its proxy.toml or node.toml, or the folder with them; may be given several times.",
)
@cluster_options
def doctor(session: Session, places: tuple[Path, ...]) -> int:
    """Look for what is wrong and say what to do; exit 0 when nothing is, 1 with findings.

    It looks at client.toml, the certificates, each proxy's address (name, port, TLS), clocks, versions, cluster.toml
    being alike everywhere, nodes out of rotation, paths, stores, what else the proxies call wrong; with --config-dir
    also at the daemons' own files and ports. It changes nothing.

    Example: hsmctl doctor --config-dir /etc/redoubt
    """
    examinations = examine(session.config, session.proxies, session.timeout_s, list(places))
    if session.out.as_json:
        session.out.result(document(examinations))
    else:
        show(page(examinations))
    return FAILED if any(each.findings for each in examinations) else OK
