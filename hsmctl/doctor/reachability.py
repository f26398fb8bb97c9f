"""Why a proxy does not answer: its name, its port, the way there, or what TLS says."""

import asyncio
import socket
from typing import Any, Final

from hsm_client.config import ProxyAddress
from hsm_client.errors import ConfigurationError, HsmError
from hsmctl.doctor.certificates import CHECK as CERTIFICATES
from hsmctl.doctor.finding import Finding, from_line

CHECK: Final = "proxies"
LOOK_UP_S: Final = 3.0
"""For a name server; longer is a fault by itself."""
OTHERWISE: Final = (
    "it takes connections: see whether it hangs (`systemctl status hsm-proxy`, `journalctl -u hsm-proxy` on its host), "
    "and whether this is where clients connect (port 2410)"
)
CONNECT_S: Final = 2.0
"""For one address of the name; a packet that is dropped says nothing, ever."""


async def unreachable(address: ProxyAddress, fault: HsmError) -> Finding:
    """Return the finding for a proxy that did not answer; `fault` is what the client library says."""
    subject = f"proxy {address}"
    try:
        targets = await _targets(address)
    except TimeoutError:
        return _error(
            subject,
            f"no name server said within {LOOK_UP_S:g} s where {address.host} is",
            "check the name servers of this host (`resolvectl status`), or write the address into client.toml",
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        advice = f"correct the name in client.toml, or mend its look-up (`getent hosts {address.host}`)"
        return _error(subject, f"its name has no address ({reason})", advice)
    failures = [await _connect(target) for target in targets]
    if None not in failures:
        return _error(subject, *_words(address, failures[0]))
    kind = CERTIFICATES if isinstance(fault, ConfigurationError) else CHECK
    line = str(fault).removeprefix(f"{subject} ").removeprefix(f"{address} ")
    return from_line(kind, subject, line, OTHERWISE)


def _error(subject: str, wrong: str, advice: str) -> Finding:
    return Finding(CHECK, "error", subject, wrong, advice)


async def _targets(address: ProxyAddress) -> list[tuple[int, int, int, Any]]:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LOOK_UP_S):
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return [(family, kind, protocol, target) for family, kind, protocol, _, target in found]


async def _connect(target: tuple[int, int, int, Any]) -> OSError | TimeoutError | None:
    family, kind, protocol, where = target
    with socket.socket(family, kind, protocol) as probe:
        probe.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().sock_connect(probe, where)
        except OSError as error:  # TimeoutError is one
            return error
    return None


def _words(address: ProxyAddress, failure: OSError | None) -> tuple[str, str]:
    if isinstance(failure, ConnectionRefusedError):
        return "nothing listens there", (
            f"start hsm-proxy on {address.host} (`systemctl start hsm-proxy`), or correct the port in client.toml"
        )
    if isinstance(failure, TimeoutError):
        return f"no answer within {CONNECT_S:g} s: packets are dropped, or the host is off", (
            f"check that {address.host} runs, and that firewalls let TCP {address.port} through"
        )
    reason = (failure.strerror if failure is not None else None) or "no way there"
    return f"it cannot be reached: {reason}", f"check the network between here and {address.host} (`ip route get`)"
