"""What all should have alike and do not: software, configuration, the cluster's name, what proxies see."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from hsm_wire.messages import StatusResult
from hsmctl.doctor.finding import Finding
from hsmctl.proxies import Answer

VERSIONS: Final = "versions"
CONFIGURATION: Final = "configuration"
SHOWN_HASH: Final = 12
"""Digits of a hash that tell two apart."""


def version_findings(own: str, seen: Mapping[str, str]) -> list[Finding]:
    """Return what runs another version than this hsmctl: `seen` has proxies and nodes by name."""
    by_version = defaultdict(list)
    for name, software in seen.items():
        by_version[software].append(name)
    return [
        Finding(
            VERSIONS,
            "warning",
            ", ".join(sorted(names)),
            f"runs {software}, this hsmctl is {own}",
            "finish the upgrade, or use hsmctl of the cluster's version; while an upgrade is under way this is as it "
            "should be",
        )
        for software, names in sorted(by_version.items())
        if software != own
    ]


def hash_findings(answers: list[Answer[StatusResult]], own: Mapping[str, str] | None = None) -> list[Finding]:
    """Return whether the proxies' cluster files differ, from each other and from those of this host (path: hash)."""
    hashes = defaultdict(list)
    for answer in answers:
        if answer.configuration_hash:
            hashes[answer.configuration_hash].append(f"proxy {answer.address}")
    for path, value in (own or {}).items():
        hashes[value].append(path)
    if len(hashes) < 2:
        return []
    usual = max(hashes, key=lambda value: len(hashes[value]))
    return [
        Finding(
            CONFIGURATION,
            "error",
            ", ".join(names),
            f"its cluster.toml ({value[:SHOWN_HASH]}) is not that of {', '.join(hashes[usual])} ({usual[:SHOWN_HASH]})",
            "put the same cluster.toml on every host, then `systemctl reload` what runs there",
        )
        for value, names in hashes.items()
        if value != usual
    ]


def cluster_findings(answers: list[Answer[StatusResult]]) -> list[Finding]:
    """Return whether client.toml names proxies of different clusters."""
    names = defaultdict(list)
    for answer in answers:
        if answer.result is not None:
            names[answer.result.cluster].append(f"proxy {answer.address}")
    if len(names) < 2:
        return []
    words = ", ".join(f"{', '.join(proxies)}: {name}" for name, proxies in sorted(names.items()))
    return [
        Finding(
            CONFIGURATION,
            "error",
            "client.toml",
            f"its proxies are of different clusters ({words})",
            "name the proxies of one cluster only",
        )
    ]
