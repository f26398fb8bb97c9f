"""hsmctl csr: a certificate signing request for a key in the cluster."""

import click

from hsmctl.distinguished_names import alternative_names, subject_of
from hsmctl.failures import wants_key_pair
from hsmctl.files import write_output
from hsmctl.issuing import able_to_sign, make_request
from hsmctl.session import Session, cluster_options


@click.command()
@click.option("--key", "name", required=True, metavar="KEY", help="Id or label.")
@click.option("--subject", required=True, metavar="DN", help="For example CN=www.example.org,O=Example.")
@click.option("--san", "sans", multiple=True, metavar="dns:NAME", help="dns:, ip:, uri: or email:; may be repeated.")
@click.option("--out", default="-", metavar="F", help="File to write; - is standard output.")
@cluster_options
def csr(session: Session, name: str, subject: str, sans: tuple[str, ...], out: str) -> None:
    """Make a certificate signing request (PEM).

    Example: hsmctl csr --key tls --subject CN=www.example.org --san dns:www.example.org --out tls.csr
    """
    wanted, names = subject_of(subject), alternative_names(sans)
    with session.cluster() as cluster, wants_key_pair(name):
        data = make_request(able_to_sign(cluster.private_key(name), name), wanted, names)
    if out != "-" or not session.out.as_json:
        write_output(out, data)
    session.out.result({"key": name, "csr": data.decode()})
