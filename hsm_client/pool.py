"""A few connections to several proxies, kept open.

Each slot holds one connection. The slots start at a random proxy and go round, so that one client spreads over
the proxies and many clients spread evenly; a slot whose connection ends opens the next proxy at once, then backs
off with jitter once every proxy has failed.
"""

import asyncio
import logging
from collections.abc import Iterable
from random import Random
from typing import Final

from hsm_client import retry
from hsm_client.config import ClientConfig, ProxyAddress
from hsm_client.connection import Connection
from hsm_client.errors import CallerError, ClusterUnreachable, ConfigurationError, HsmError, make_error
from hsm_client.keeper import Keeper
from hsm_client.sockets import Sockets
from hsm_client.tls import TlsIdentity
from hsm_client.waiting_line import WaitingLine
from hsm_wire.statuses import Status

_log = logging.getLogger("hsm_client")
OPEN_TIMEOUT_S: Final = 3.0
"""Longest wait for one proxy to take a connection, TLS and greeting included."""
FIRST_OPEN_TIMEOUT_S: Final = 1.0
"""The same while another proxy is untried: one that hangs costs this, and not all the time that a caller has."""
STEADY_S: Final = 1.0
"""A connection that ends sooner counts as a failed one: else a proxy that takes and drops us is called in a loop."""
MAX_WAITING: Final = 10_000
"""Requests of one client that wait for room on a connection."""
_REFUSALS: Final = (CallerError, ConfigurationError)
"""A proxy was reached and does not want us: waiting mends neither our identity nor our certificate."""


class Pool:
    """See the module."""

    def __init__(self, config: ClientConfig, size: int, rng: Random, *, patient: bool = True) -> None:
        self._proxies = config.proxies
        self._identity = TlsIdentity(config.tls) if config.tls is not None else None
        self._size = size
        self._rng = rng
        self._patient = patient
        """Whether the first connection is still waited for when every proxy has failed once."""
        self._keeper = Keeper()
        self._sockets = Sockets()
        self._connections: list[Connection] = []
        self._line = WaitingLine(self._count_room)
        self._settled = asyncio.Event()
        """There was a connection, or for once none was to be hoped for."""
        self._last_error: HsmError | None = None
        self._failures = 0
        """Connections in a row that could not be opened."""
        self.was_open = False
        """There was a connection: from then on its loss is waited out, whatever the reason."""
        self._started = False
        self._closed = False

    def start(self) -> None:
        """Begin to open connections, once."""
        if self._started or self._closed:
            return
        self._started = True
        first = self._rng.randrange(len(self._proxies))
        for slot in range(self._size):
            self._keeper.spawn(self._keep_open(first + slot), f"hsm-client-slot-{slot}")

    async def close(self) -> None:
        """Close everything; whoever waits gets an error."""
        self._closed = True
        await self._keeper.stop()
        connections, self._connections = self._connections, []
        await asyncio.gather(*(connection.close() for connection in connections))
        self._settled.set()
        self._line.wake_all()

    async def opened(self, timeout_s: float) -> None:
        """Wait for the first connection.

        Raises:
            ClusterUnreachable: none came up in time, or (not patient) every proxy failed once.
            HsmError: every proxy failed once, and the last one refused our identity or certificate.
        """
        if self.was_open:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        except TimeoutError:
            raise self._unreachable() from None
        self._check()
        if not self.was_open:
            raise self._unreachable()

    async def acquire(self, deadline: float, avoid: Connection | None = None) -> Connection:
        """Return a connection with room, by preference not `avoid`, waiting until the deadline (loop time).

        Raises:
            ClusterUnreachable: there was no connection, or there never was one and `opened` would say so by now.
            HsmError: there was never room, we are refused, or the client is closed.
        """
        found = self._maybe_choose(avoid) if self._line.empty else None
        waited = False
        while found is None:
            self._check()
            await self._wait(deadline, first=waited)
            waited = True
            found = self._maybe_choose(avoid)
        return found

    def file_numbers(self) -> list[int]:
        """Return the file descriptors of all sockets, those included that are being opened or closed."""
        return self._sockets.file_numbers()

    def _maybe_choose(self, avoid: Connection | None) -> Connection | None:
        best: Connection | None = None
        for connection in self._connections:
            if not connection.has_room:
                continue
            if best is None or _rank(connection, avoid) < _rank(best, avoid):
                best = connection
        return best

    def _count_room(self) -> int:
        return sum(connection.room for connection in self._connections)

    def _check(self) -> None:
        """Raise where waiting is of no use."""
        if self._closed:
            raise make_error(Status.CANCELLED, "the client is closed; connect again")
        if self._hopeless():
            raise self._unreachable()

    async def _wait(self, deadline: float, *, first: bool) -> None:
        if len(self._line) >= MAX_WAITING and not first:
            raise make_error(Status.OVERLOADED, f"{MAX_WAITING} requests wait in this client; send less at a time")
        try:
            await self._line.wait(deadline, first=first)
        except TimeoutError:
            if any(connection.usable for connection in self._connections):
                raise make_error(Status.TIMEOUT, "no connection had room in time; send less at a time") from None
            raise self._unreachable() from None

    def _hopeless(self) -> bool:
        """Whether nothing is gained by waiting longer for the first connection."""
        if self.was_open or self._failures < len(self._proxies):
            return False
        return not self._patient or self._refused()

    def _refused(self) -> bool:
        return isinstance(self._last_error, _REFUSALS)

    def _unreachable(self) -> HsmError:
        return unreachable(self._proxies, self._last_error)

    async def _keep_open(self, position: int) -> None:
        failures = 0
        while True:
            address = self._proxies[position % len(self._proxies)]
            busy = False
            untried = failures < len(self._proxies) - 1
            limit_s = FIRST_OPEN_TIMEOUT_S if untried else OPEN_TIMEOUT_S
            try:
                connection = await Connection.open(address, self._identity, timeout_s=limit_s, sockets=self._sockets)
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the slot must live on
                self._last_error = _as_hsm_error(error, address)
                busy = self._last_error.status == Status.OVERLOADED
                self._failures += 1
                failures += 1
                if self._hopeless():
                    self._settled.set()
                    self._line.wake_all()
                rounds = max(failures // len(self._proxies), int(busy))
                await asyncio.sleep(
                    retry.wait_s(rounds, retry.RECONNECT_BASE_S, retry.RECONNECT_CAP_S, self._rng) if rounds else 0
                )
                position = self._next(position)
                continue
            self._failures = 0
            loop = asyncio.get_running_loop()
            since = loop.time()
            await self._hold(connection)
            failures = 0 if loop.time() - since >= STEADY_S else failures + 1
            position = self._next(position)
            if self._proxies[position % len(self._proxies)] == address:
                await asyncio.sleep(self._rng.uniform(0.0, retry.RECONNECT_SAME_S))
            elif failures > len(self._proxies):
                await asyncio.sleep(retry.wait_s(failures, retry.RECONNECT_BASE_S, retry.RECONNECT_CAP_S, self._rng))

    def _next(self, position: int) -> int:
        """Return the next proxy that no other slot uses, else the next one."""
        used = {connection.address for connection in self._connections if connection.usable}
        for step in range(1, len(self._proxies) + 1):
            if self._proxies[(position + step) % len(self._proxies)] not in used:
                return position + step
        return position + 1

    async def _hold(self, connection: Connection) -> None:
        """Lend the connection out until it is lost or takes no more requests."""
        over = asyncio.Event()

        def changed(_connection: Connection) -> None:
            if not connection.usable:
                over.set()
            self._line.room_made()

        connection.on_change = changed
        self._connections.append(connection)
        self.was_open = True
        self._settled.set()
        self._line.room_made()
        if not connection.usable:
            over.set()
        await over.wait()
        if connection.lost.done():
            self._connections.remove(connection)
        else:
            self._keeper.spawn(self._drain(connection), "hsm-client-drain")

    async def _drain(self, connection: Connection) -> None:
        """A connection that is going away answers what it has; the proxy closes it."""
        await asyncio.wait([connection.lost])
        if connection in self._connections:
            self._connections.remove(connection)


def _rank(connection: Connection, avoid: Connection | None) -> tuple[bool, bool, int]:
    """Least is best: not the avoided connection, by preference another proxy, then the fewest in flight."""
    same_proxy = avoid is not None and connection.address == avoid.address
    return connection is avoid, same_proxy, connection.in_flight


def _as_hsm_error(error: Exception, address: ProxyAddress) -> HsmError:
    if isinstance(error, HsmError):
        return error
    _log.warning("proxy %s cannot be used: %s", address, type(error).__name__, exc_info=error)
    return ClusterUnreachable(f"proxy {address} cannot be used: {type(error).__name__}")


def unreachable(proxies: Iterable[ProxyAddress], last_error: HsmError | None) -> HsmError:
    """Return the error for proxies of which none can be used; `last_error` is what the last one said."""
    if isinstance(last_error, _REFUSALS):
        return type(last_error)(last_error.detail, status=last_error.status)
    names = ", ".join(str(proxy) for proxy in proxies)
    reason = last_error.detail if last_error is not None else "no answer"
    if ";" in reason:  # It says what to do.
        return ClusterUnreachable(f"no proxy of {names} can be used: {reason}")
    return ClusterUnreachable(
        f"no proxy of {names} can be reached ({reason}); check that the cluster runs (`hsmctl doctor` says more)"
    )
