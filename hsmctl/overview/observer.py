"""Looks at every proxy, over connections that are kept from one look to the next."""

import asyncio
import time
from collections import deque
from typing import Final

import msgspec

from hsm_client.config import ProxyAddress
from hsm_client.connection import Connection, ConnectionFull, ConnectionLost
from hsm_client.errors import ClusterUnreachable, HsmError
from hsm_client.pool import unreachable
from hsm_wire.forms import Empty
from hsm_wire.messages import EventReport, Events, EventsResult, StatusResult
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsmctl.proxies import MIN_LEFT_S, Asker, question

MAX_KEPT_EVENTS: Final = 500
"""Events of one proxy that are kept here: more than a person reads back."""


class Look(msgspec.Struct, frozen=True):
    """What one proxy said this time; exactly one of `report` and `fault` is there."""

    address: ProxyAddress
    report: StatusResult | None = None
    fault: HsmError | None = None
    events: tuple[EventReport, ...] = ()
    """All that are known of it, oldest first."""
    fresh: tuple[EventReport, ...] = ()
    """Those of `events` that were not there at the look before."""


def answered(looks: list[Look]) -> list[Look]:
    """Return the looks.

    Raises:
        HsmError: no proxy answered.
    """
    if any(look.report is not None for look in looks):
        return looks
    raise unreachable((look.address for look in looks), looks[-1].fault)


async def look_once(asker: Asker, events: int) -> list[Look]:
    """Return what each proxy says.

    Raises:
        HsmError: none says anything.
    """
    observer = Observer(asker)
    try:
        return answered(await observer.look(events))
    finally:
        await observer.close()


class Observer:
    """See the module. It belongs to one event loop."""

    def __init__(self, asker: Asker) -> None:
        self._watched = [_Watched(asker, address) for address in asker.addresses]

    async def look(self, events: int) -> list[Look]:
        """Return what each proxy says now, with at most that many new events (0: none are asked for)."""
        return await asyncio.gather(*(each.look(events) for each in self._watched))

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(each.close() for each in self._watched))


class _Watched:
    """One proxy."""

    def __init__(self, asker: Asker, address: ProxyAddress) -> None:
        self._asker = asker
        self._address = address
        self._connection: Connection | None = None
        self._events: deque[EventReport] = deque(maxlen=MAX_KEPT_EVENTS)
        self._newest = 0

    async def look(self, events: int) -> Look:
        try:
            connection, left_s = await self._connected()
            answer = await question(connection, Opcode.STATUS, Empty(), StatusResult, left_s)
            fresh = await self._fresh(connection, events, left_s) if events else ()
        except (ConnectionLost, ConnectionFull) as error:
            await self.close()
            words = f"the connection to proxy {self._address} broke: {str(error) or 'it takes no more requests'}"
            return self._silent(ClusterUnreachable(words))
        except HsmError as error:
            await self.close()
            return self._silent(error)
        return Look(self._address, answer.result, None, tuple(self._events), fresh)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _silent(self, fault: HsmError) -> Look:
        return Look(self._address, None, fault, tuple(self._events))

    async def _connected(self) -> tuple[Connection, float]:
        started = time.monotonic()
        if self._connection is None or not self._connection.usable:
            await self.close()
            self._connection = await self._asker.open(self._address)
        return self._connection, max(self._asker.timeout_s - (time.monotonic() - started), MIN_LEFT_S)

    async def _fresh(self, connection: Connection, limit: int, timeout_s: float) -> tuple[EventReport, ...]:
        answer = await self._ask_events(connection, limit, timeout_s)
        if answer is not None and answer.newest < self._newest:  # it counts anew since its restart
            self._newest = 0
            answer = await self._ask_events(connection, limit, timeout_s)
        if answer is None:
            return ()
        self._newest = max(answer.newest, 0)
        self._events.extend(answer.events)
        return tuple(answer.events)

    async def _ask_events(self, connection: Connection, limit: int, timeout_s: float) -> EventsResult | None:
        wanted = Events(self._newest, limit)
        try:
            return (await question(connection, Opcode.EVENTS, wanted, EventsResult, timeout_s)).result
        except HsmError as error:
            if error.status == Status.UNKNOWN_OPERATION:
                return None  # an older proxy
            raise
