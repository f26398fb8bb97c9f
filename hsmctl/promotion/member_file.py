"""What the configuration of a member of etcd says: JSON as `hsmctl dev` writes it, or the plain YAML of our example."""

import json
import re
from pathlib import Path
from typing import Final

import msgspec

from hsmctl.failures import USAGE, CommandError

_SCALAR: Final = re.compile(r"^([a-z-]+):[ \t]*(\S.*?)[ \t]*(?:[ \t]#.*)?$", re.MULTILINE)
"""A key of the file itself with a value on its line."""
_NEEDED: Final = ("name", "data-dir", "initial-advertise-peer-urls")


class MemberFile(msgspec.Struct, frozen=True):
    """What a promotion needs of it."""

    name: str
    data: Path
    peer_urls: str


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
    return MemberFile(said["name"], Path(said["data-dir"]), said["initial-advertise-peer-urls"])


def _said(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {key: value.strip("'\"") for key, value in _SCALAR.findall(text)}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
