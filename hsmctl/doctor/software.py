"""Which version runs where: our own, the proxies' as they say it, the nodes' asked until each has answered."""

import contextlib
import re
from importlib.metadata import version
from typing import Final

from hsm_client.connection import ConnectionLost
from hsm_client.errors import HsmError
from hsm_wire.forms import Empty
from hsm_wire.messages import InfoResult, StatusResult
from hsm_wire.opcodes import Opcode
from hsmctl.proxies import Answer, Asker, question

QUESTIONS_PER_NODE: Final = 8
"""A proxy draws the node for each INFO: with that many, one of four nodes stays silent in one look of 10,000."""
ANSWER_S: Final = 2.0
_VERSION: Final = re.compile(r"\d[\w.+-]*$", re.ASCII)


def own_version() -> str:
    """Return the version of this hsmctl."""
    return version("redoubt")


async def versions_seen(asker: Asker, answers: list[Answer[StatusResult]]) -> dict[str, str]:
    """Return what each proxy that answered and each node in rotation runs."""
    reports = [(answer, answer.result) for answer in answers if answer.result is not None]
    seen = {f"proxy {report.proxy}": _version(report.software) for _, report in reports}
    for answer, report in reports:
        wanted = {f"node {node.name}" for node in report.nodes if node.in_rotation}
        if wanted <= seen.keys():
            continue
        with contextlib.suppress(HsmError, ConnectionLost):  # What does not answer is named by another check.
            await _ask_nodes(asker, answer, wanted, seen)
    return seen


async def _ask_nodes(asker: Asker, answer: Answer[StatusResult], wanted: set[str], seen: dict[str, str]) -> None:
    connection = await asker.open(answer.address)
    try:
        for _ in range(QUESTIONS_PER_NODE * len(wanted)):
            if wanted <= seen.keys():
                return
            info = (await question(connection, Opcode.INFO, Empty(), InfoResult, ANSWER_S)).result
            if info is not None:
                seen[f"node {info.node}"] = _version(info.software)
    finally:
        await connection.close()


def _version(software: str) -> str:
    # "hsm-proxy 0.1.0", "redoubt-node/0.1.0": the name says nothing that we do not know.
    found = _VERSION.search(software)
    return found[0] if found is not None else software
