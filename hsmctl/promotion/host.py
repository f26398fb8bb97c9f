"""What a host of the DR site is asked for: where its parts are, and to stop and start them."""

from pathlib import Path
from typing import Protocol

import msgspec


class StoreTls(msgspec.Struct, frozen=True):
    """The files with which a node shows itself to the store."""

    ca: Path
    certificate: Path
    key: Path


class LocalStore(msgspec.Struct, frozen=True):
    """How the nodes of this host reach its member."""

    endpoint: str
    """HOST:PORT."""
    tls: StoreTls | None
    """None: without."""


class Host(Protocol):
    """A host with nodes of the DR site, and the member of its store."""

    @property
    def sockets(self) -> list[Path]:
        """`admin.sock` of each node."""

    @property
    def store(self) -> LocalStore | None:
        """None: the nodes have a store without members."""

    @property
    def member_file(self) -> Path:
        """The member's configuration."""

    def program(self, name: str) -> Path:
        """Return where etcdctl or etcdutl is.

        Raises:
            CommandError: it is not here.
        """

    def stop_member(self) -> None:
        """Stop the member and wait for its end.

        Raises:
            CommandError: it does not stop.
        """

    def start_member(self) -> None:
        """Start the member and wait until it serves.

        Raises:
            CommandError: it does not.
        """

    def restart_nodes(self) -> None:
        """Have every node open its store anew.

        Raises:
            CommandError: one does not start.
        """
