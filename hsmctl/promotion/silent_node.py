"""What is known of a DR node that does not run: its files say which cluster it is of, and what it has seen."""

import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from hsmctl.failures import USAGE, CommandError
from hsmctl.promotion.host import Host, LocalStore
from hsmctl.promotion.programs import etcdctl, run

SEEN: Final = "store.json"
"""In a node's state_dir: the highest epoch that it has seen."""
ASK_S: Final = 3
"""For a member to read by the majority: an election takes two to three seconds."""
TRIES: Final = 2
"""An election can begin while the first one waits."""
_KEY: Final = "redoubt-is-not-here"
"""What is read: nothing; only that it can be read counts."""


class SilentNode(msgspec.Struct, frozen=True):
    """What a promotion needs of it."""

    cluster: str
    epoch: int
    """The highest that a node of this host has seen."""
    endpoints: tuple[str, ...]
    """Members of its store."""


class _Seen(msgspec.Struct, frozen=True):
    epoch: int


def read_silent_node(host: Host) -> SilentNode:
    """Return what its files say.

    Raises:
        CommandError: it is of no DR site, or a file cannot be read.
    """
    file = host.node_files[0]
    node = _load(file)
    cluster = _load(file.parent / str(node.get("cluster", "cluster.toml")))
    name, own = str(_part(cluster, "cluster").get("name", "")), str(node.get("name", ""))
    standby = [str(site.get("name")) for site in _rows(cluster, "sites") if site.get("role") == "disaster-recovery"]
    if not standby:
        raise CommandError(f"cluster {name} has no DR site; there is nothing to promote")
    if not any(row.get("name") == own and row.get("site") in standby for row in _rows(cluster, "nodes")):
        raise CommandError(f"{own} is not of the DR site; promote on a host of {', '.join(standby)}")
    epoch = max(_seen(socket.parent / SEEN) for socket in host.sockets)
    endpoints = _part(node, "store").get("endpoints") or []
    return SilentNode(name, epoch, tuple(map(str, endpoints)))


def has_majority(host: Host, store: LocalStore, endpoints: tuple[str, ...]) -> bool:
    """Whether a member of the store can read by its majority: then it is not lost."""
    asked = [LocalStore(endpoint, store.tls) for endpoint in dict.fromkeys((store.endpoint, *endpoints))]
    with ThreadPoolExecutor(len(asked)) as threads:
        return any(any(threads.map(lambda one: _reads(host, one), asked)) for _ in range(TRIES))


def _reads(host: Host, store: LocalStore) -> bool:
    try:
        run(etcdctl(host, store, f"--command-timeout={ASK_S}s", "get", _KEY), "", "")
    except CommandError:
        return False
    return True


def _seen(file: Path) -> int:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Seen).epoch
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}; run this as root") from None
    except msgspec.DecodeError:
        raise CommandError(f"{file} is damaged; start the node to see why") from None


def _load(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}; run this as root", USAGE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: {error}; correct it", USAGE) from None


def _part(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _rows(said: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = said.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
