"""hsmctl selftest: known answers from every node.

The proxy draws a node for each request, so the vectors are asked for until the proxy's counters show that every
node gave some of the answers. A node that is out of rotation makes the test fail.
"""

import contextlib
from typing import Any, Final

import click

import hsm_client.sync
from hsm_client.errors import HsmError
from hsm_wire.messages import StatusResult
from hsmctl.failures import CommandError
from hsmctl.known_answers import VECTORS, Vector
from hsmctl.printable import printable
from hsmctl.session import Session, cluster_options

LABEL: Final = "hsmctl-selftest"
ROUND_REQUESTS: Final = 8
"""Requests a vector and node between two looks at the counters."""
MAX_ROUNDS: Final = 20
"""A node that stays without an answer through all of these (p below 10^-20) is not served."""


@click.command()
@cluster_options
def selftest(session: Session) -> None:
    """Ask every node for known answers over every path; exit 0 only if all are right.

    Example: hsmctl selftest
    """
    faults: list[str] = []
    with session.cluster() as cluster:
        before = _answers(cluster.status())
        for vector in VECTORS:
            faults += _test(cluster, vector, len(before))
        rounds = 1
        while (silent := _silent(cluster.status(), before)) and not faults and rounds < MAX_ROUNDS:
            faults += _test(cluster, VECTORS[0], len(before))
            rounds += 1
        seen = cluster.status()
    faults += [f"{name} gave no answer" for name in silent]
    faults += _faults_of(seen)
    answers = _answers(seen)
    given = {name: count - before.get(name, 0) for name, count in answers.items()}
    document: dict[str, Any] = {"passed": not faults, "answers": given, "faults": faults}
    lines = [f"{name}: {count} answers" for name, count in given.items()]
    session.out.result(document, "\n".join([*map(printable, lines), "all answers right" if not faults else "FAILED"]))
    if faults:
        raise CommandError(f"selftest failed: {'; '.join(faults)}; see `hsmctl status` and the nodes' logs")


def _test(cluster: hsm_client.sync.Hsm, vector: Vector, nodes: int) -> list[str]:
    """Import the vector's key, ask for its answer, destroy the key; return what was wrong."""
    key = cluster.import_key(vector.key_type, vector.material, label=LABEL)
    try:
        for _ in range(ROUND_REQUESTS * max(nodes, 1)):
            if key.sign(vector.data, vector.mechanism) != vector.answer:
                return [f"a node gave a wrong answer for {vector.name}"]
    except HsmError as error:
        return [f"{vector.name}: {error}"]
    finally:
        # What went wrong before is what matters; a key left over has a label that says whose it is.
        with contextlib.suppress(HsmError):
            key.destroy()
    return []


def _answers(status: StatusResult) -> dict[str, int]:
    return {node.name: node.requests for node in status.nodes}


def _silent(status: StatusResult, before: dict[str, int]) -> list[str]:
    return [name for name, count in _answers(status).items() if count <= before.get(name, 0)]


def _faults_of(status: StatusResult) -> list[str]:
    out = [
        f"{node.name} is {node.state} ({node.reason or 'no reason given'})"
        for node in status.nodes
        if node.state != "up"
    ]
    paths = [
        f"path {path.uplink} of {node.name} is {path.state}"
        for node in status.nodes
        for path in node.paths
        if path.state != "up"
    ]
    return out + paths
