"""dev.json: where a running development cluster is, for programs."""

from pathlib import Path

import msgspec

from hsmctl.files import replace_file


class Entry(msgspec.Struct, frozen=True):
    """One daemon; `pid` is the serving process."""

    name: str
    site: str
    pid: int
    address: str
    admin: str


class StoreEntry(msgspec.Struct, frozen=True):
    """One member of a distributed store."""

    name: str
    site: str
    pid: int
    address: str


AnyEntry = Entry | StoreEntry


class Manifest(msgspec.Struct, frozen=True):
    """The whole file. `store` is empty with SQLite."""

    client_config: str
    proxies: list[Entry]
    nodes: list[Entry]
    store: list[StoreEntry] = []

    def write(self, path: Path) -> None:
        """Write the file by rename."""
        replace_file(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    def maybe_member(self, name: str) -> AnyEntry | None:
        """Return the daemon, or the store's member, of that name."""
        entries: list[AnyEntry] = [*self.nodes, *self.proxies, *self.store]
        return next((entry for entry in entries if entry.name == name), None)


def maybe_read(path: Path) -> Manifest | None:
    """Return the manifest in that file, or None where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None
