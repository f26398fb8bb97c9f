"""host:port."""

import ipaddress
from dataclasses import dataclass

from hsm_cluster.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens. `host` has no brackets; `port` 0 means any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Return the address that `host:port` or `[v6]:port` names.

        Raises:
            ConfigurationError: it is not of that form.
        """
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            host = ""
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ConfigurationError(f"address {text[:80]!r} is not host:port (IPv6 as [address]:port)")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
