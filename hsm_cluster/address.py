"""A host and a port, as configuration files and logs write them."""

from ipaddress import IPv6Address, ip_address
from pathlib import Path

from hsm_cluster.errors import ConfigurationError

MAX_PORT = 65_535
MAX_HOST_CHARACTERS = 253  # a DNS name's limit (RFC 1035)


class Address:
    """Where something listens. Port 0 means "any free port" and only makes sense where something binds.

    Immutable by habit and hashable. Not a dataclass: msgspec would then expect a table of two keys in files, not text.
    Two that are spelled differently and mean the same are equal: `[::1]` and `[0:0::1]`, `node` and `NODE`.
    """

    __slots__ = ("_place", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._place = _one_spelling(host), port

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read "host:port" or "[ipv6]:port"; ValueError says what is wrong."""
        host, colon, port = text.rpartition(":")
        if not colon:
            raise ValueError(f"{text!r} has no port; write host:port")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r} is ambiguous; write an IPv6 address as [address]:port")
        if not host or len(host) > MAX_HOST_CHARACTERS or any(c.isspace() or not c.isprintable() for c in host):
            raise ValueError(f"{text!r} has no usable host; write host:port")
        try:
            host.encode("idna")  # as the resolver will: "a..b" must not wait until somebody connects
        except UnicodeError:
            raise ValueError(f"{text!r} has no usable host; write a name that the DNS allows") from None
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= MAX_PORT):
            raise ValueError(f"{text!r} has no usable port; use a number from 0 to {MAX_PORT}")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def collides(self, other: "Address") -> bool:
        """Whether one program cannot listen on both: they are one, or one of them is every address of its family."""
        if not self.port or self.port != other.port:
            return False
        if self == other:
            return True
        try:
            here, there = ip_address(self.host), ip_address(other.host)
        except ValueError:
            return False
        return here.version == there.version and (here.is_unspecified or there.is_unspecified)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({self.host!r}, {self.port})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        return self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)


def _one_spelling(host: str) -> str:
    """Return what all spellings of a host have in common."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower().removesuffix(".")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def require_apart(path: Path, listen: Address, admin: Address) -> None:
    """Check that a program can listen on both.

    Raises:
        ConfigurationError: it cannot.
    """
    if listen.collides(admin):
        raise ConfigurationError(
            f"{path}: listen {listen} and admin {admin} are the same place; give admin another port"
        )
