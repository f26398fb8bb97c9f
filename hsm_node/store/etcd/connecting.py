"""Which members there are, and with which certificate this node shows itself to them: anew when somebody says so."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hsm_cluster.address import Address
from hsm_daemon import clock
from hsm_daemon.tls import TlsFiles, not_after
from hsm_node.store.etcd.channels import Link, credentials_of


class Connecting:
    """Makes the links."""

    def __init__(self, addresses: Sequence[Address], files: TlsFiles | None) -> None:
        """Read nothing yet.

        Args:
            addresses: of the members, the preferred first.
            files: for mutual TLS; None: without.
        """
        self._addresses = tuple(addresses)
        self._files = files
        self._not_after: int | None = None

    def links(self, addresses: Sequence[Address] | None = None) -> list[Link]:
        """Return new links to all members, with what the files hold now.

        Args:
            addresses: of the members from now on; None: the same as before.

        Raises:
            StartError: a file cannot be read; nothing has changed.
        """
        credentials = credentials_of(self._files)
        self._not_after = None if self._files is None else not_after(self._files)
        self._addresses = self._addresses if addresses is None else tuple(addresses)
        return [Link(address, credentials) for address in self._addresses]

    def expired(self) -> str:
        """Return that the certificate in use has expired, as a sentence; empty while it has not.

        Members end a handshake with it without a reason that reaches us.
        """
        if self._not_after is None or self._not_after > clock.now():
            return ""
        end = datetime.fromtimestamp(self._not_after, UTC)
        return f"this node's certificate for the store expired on {end:%Y-%m-%d at %H:%M} UTC: renew it, then reload"
