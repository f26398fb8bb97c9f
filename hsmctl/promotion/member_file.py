"""What the configuration of a member of etcd says: JSON as `hsmctl dev` writes it, or the plain YAML of our example."""

import json
import os
import re
from pathlib import Path
from typing import Final

import msgspec

from hsmctl.failures import USAGE, CommandError
from hsmctl.files import replace_file

_SCALAR: Final = re.compile(r"^([a-z-]+):[ \t]*(\S.*?)[ \t]*(?:[ \t]#.*)?$", re.MULTILINE)
"""A key of the file itself with a value on its line."""
_NEEDED: Final = ("name", "data-dir", "initial-advertise-peer-urls")


class MemberFile(msgspec.Struct, frozen=True):
    """What a promotion needs of it."""

    name: str
    data: Path
    peer_urls: str
    client_urls: str = ""
    """Where it says that it serves nodes; empty: its file does not say."""


def read_member_file(path: Path) -> MemberFile:
    """Return what the file says.

    Raises:
        CommandError: it cannot be read, or lacks something; the line says what.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}; run this on a host of the DR site", USAGE) from None
    said = _said(text)
    missing = [key for key in _NEEDED if not said.get(key)]
    if missing:
        raise CommandError(f"{path}: {', '.join(missing)} must be there, on a line of its own", USAGE)
    if said.get("wal-dir"):
        raise CommandError(f"{path}: wal-dir is not supported here; follow docs/disaster-recovery.md by hand", USAGE)
    urls = said["initial-advertise-peer-urls"], said.get("advertise-client-urls", "")
    return MemberFile(said["name"], Path(said["data-dir"]), *urls)


def join_existing(path: Path, initial_cluster: str) -> None:
    """Have the member's next start without data be that of a new member of a cluster that is there; all else stays.

    Raises:
        CommandError: the file does not say how it starts, or cannot be written.
    """
    wanted = {"initial-cluster": initial_cluster, "initial-cluster-state": "existing"}
    try:
        text, before = path.read_text(), path.stat()
        replace_file(path, _changed(text, wanted).encode(), mode=before.st_mode & 0o777)
        os.chown(path, before.st_uid, before.st_gid)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}; run this as root") from None


def _changed(text: str, wanted: dict[str, str]) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        for key, value in wanted.items():
            line = f"{key}: {value}"
            lines = re.compile(rf"^{key}:.*$", re.MULTILINE)
            text = lines.sub(line, text) if lines.search(text) else f"{text}{line}\n"
        return text
    return json.dumps(found | wanted, indent=2) + "\n"


def _said(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {key: value.strip("'\"") for key, value in _SCALAR.findall(text)}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
