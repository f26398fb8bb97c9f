"""Asks and reads all that `doctor` judges, check by check. A check that cannot look says why."""

import asyncio
import datetime
from pathlib import Path
from typing import Final

from hsm_client.config import ClientConfig, load_config
from hsm_client.errors import ConfigurationError
from hsm_wire.forms import Empty
from hsm_wire.messages import StatusResult
from hsm_wire.opcodes import Opcode
from hsmctl.doctor import agreement, certificates, clocks, reachability, rotation
from hsmctl.doctor.finding import Examination, Finding, from_line
from hsmctl.doctor.host import FILES, PORTS, Host
from hsmctl.doctor.software import own_version, versions_seen
from hsmctl.proxies import Answer, Asker

CLIENT_ROLES: Final = ("client", "operator")
BELOW_CONFIGURATION: Final = (
    certificates.CHECK, reachability.CHECK, clocks.CHECK, agreement.VERSIONS, *rotation.LOOKS,
)  # fmt: skip


def examine(
    config: str | None, proxies: list[str] | None, timeout_s: float | None, places: list[Path]
) -> list[Examination]:
    """Look at everything, and return what was found by check, in the order in which to mend it."""
    host = Host(places) if places else None
    configuration: list[Finding] = []
    try:
        loaded = load_config(config, proxies)
    except ConfigurationError as error:
        configuration.append(from_line(agreement.CONFIGURATION, "client.toml", str(error), "correct it"))
        left_out = "client.toml cannot be used"
        rest = [Examination(name, [], left_out) for name in BELOW_CONFIGURATION]
    else:
        configuration += _doubles(loaded)
        rest = asyncio.run(_client_side(loaded, timeout_s, configuration, host))
    if host is not None:
        configuration += host.configuration_findings()
        rest = [_with(each, host) for each in rest]
        rest += [Examination(name, host.findings(name)) for name in (FILES, PORTS)]
    return [Examination(agreement.CONFIGURATION, configuration), *rest]


def _with(examination: Examination, host: Host) -> Examination:
    if examination.check != certificates.CHECK:
        return examination
    found = [*examination.findings, *host.findings(certificates.CHECK)]
    return Examination(certificates.CHECK, found, "" if host.daemons else examination.left_out)


def _doubles(config: ClientConfig) -> list[Finding]:
    names = [str(address) for address in config.proxies]
    return [
        Finding(agreement.CONFIGURATION, "warning", "client.toml", f"it names proxy {name} twice", "remove one of them")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


async def _client_side(
    config: ClientConfig, timeout_s: float | None, configuration: list[Finding], host: Host | None
) -> list[Examination]:
    files: list[Finding] = []
    if config.tls is not None:
        files = certificates.certificate_findings(config.tls, datetime.datetime.now(datetime.UTC), CLIENT_ROLES)
    try:
        asker = Asker(config, timeout_s)
    except ConfigurationError as error:
        if not any(found.severity == "error" for found in files):
            files.append(from_line(certificates.CHECK, "client.toml", str(error), "correct it"))
        left_out = "the certificates cannot be used"
        return [
            Examination(certificates.CHECK, files),
            *(Examination(name, [], left_out) for name in BELOW_CONFIGURATION[1:]),
        ]
    answers = await asker.ask(Opcode.STATUS, Empty(), StatusResult)
    configuration += agreement.cluster_findings(answers)
    configuration += agreement.hash_findings(answers, host.hashes if host is not None else None)
    silent = await asyncio.gather(
        *(reachability.unreachable(answer.address, answer.fault) for answer in answers if answer.fault is not None)
    )
    files += [found for found in silent if found.check == certificates.CHECK]
    files += certificates.proxy_findings(answers, datetime.datetime.now(datetime.UTC))
    return [
        Examination(certificates.CHECK, files),
        Examination(reachability.CHECK, [found for found in silent if found.check == reachability.CHECK]),
        *await _seen_by_proxies(asker, answers),
    ]


async def _seen_by_proxies(asker: Asker, answers: list[Answer[StatusResult]]) -> list[Examination]:
    if all(answer.result is None for answer in answers):
        return [Examination(name, [], "no proxy answers") for name in BELOW_CONFIGURATION[2:]]
    versions = agreement.version_findings(own_version(), await versions_seen(asker, answers))
    silent = all(clocks.maybe_skew_s(answer) is None for answer in answers)
    return [
        Examination(
            clocks.CHECK, clocks.clock_findings(answers), "the proxies do not say their time" if silent else ""
        ),
        Examination(agreement.VERSIONS, versions),
        *(Examination(check, found) for check, found in rotation.all_findings(answers).items()),
    ]
