"""What a host is asked for: where its parts are, and to stop and start them."""

from pathlib import Path
from typing import Protocol

import msgspec


class StoreTls(msgspec.Struct, frozen=True):
    """The files with which a node shows itself to the store."""

    ca: Path
    certificate: Path
    key: Path


class LocalStore(msgspec.Struct, frozen=True):
    """How the nodes of this host reach a member."""

    endpoint: str
    """HOST:PORT."""
    tls: StoreTls | None
    """None: without."""


class Host(Protocol):
    """A host with nodes of one site, and the member of its store."""

    @property
    def sockets(self) -> list[Path]:
        """`admin.sock` of each node."""

    @property
    def node_files(self) -> list[Path]:
        """`node.toml` of each node, in the same order."""

    @property
    def store(self) -> LocalStore | None:
        """The member of this host; None: the nodes have a store without members."""

    @property
    def member_file(self) -> Path:
        """The member's configuration."""

    def program(self, name: str) -> Path:
        """Return where etcd, etcdctl or etcdutl is.

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

    @property
    def recovery(self) -> str:
        """HOST:PORT of the member at the DR site; empty: nothing here says it."""

    def stop_nodes(self) -> None:
        """Stop every node and wait for its end.

        Raises:
            CommandError: one does not stop.
        """

    def start_nodes(self) -> None:
        """Start every node.

        Raises:
            CommandError: one does not.
        """

    def restart_nodes(self) -> None:
        """Have every node open its store anew.

        Raises:
            CommandError: one does not start.
        """
