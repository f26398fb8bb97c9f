"""Accepts connections at a bounded pace: who comes too fast waits in the kernel's backlog.

Theory. `loop.create_server` accepts whatever comes, so a thousand clients that return at once begin a thousand TLS
handshakes, and those who were served before wait behind them. Here the loop's reader of the listening socket is
removed while there is no token, or while too many handshakes go on, and put back by one timer or by the end of a
handshake. The socket is never closed by a pause, so another process (a hot restart) can go on with it.

Clients wait for their handshake for a few seconds only. Where more wait in the backlog than are taken in that time,
those at its front have gone, and a handshake begun with each would leave none for those who are there: a crowd above
the pace would never be served. So who has gone costs next to no token.

Where several processes accept on one socket, the kernel wakes all of them, and the same one first: it would get nearly
every connection. So who has more than another one steps back: it leaves what waits to the others for STEP_BACK_S, and
takes one connection if it is still there then.

With TLS a client speaks first. The kernel keeps those that say nothing for a while; what it hands over silent all the
same waits apart (`silence`) and costs no handshake. Who begins a handshake and does not go on makes room for others
after HURRY_S while there are too many.
"""

import asyncio
import contextlib
import errno
import math
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from hsm_daemon import clock, handshake, logs, tls_opening
from hsm_daemon.listening import joined
from hsm_daemon.log_limit import LimitedLog
from hsm_daemon.pace import Pace
from hsm_daemon.silence import SilentPeers
from hsm_daemon.tasks import spawn
from hsm_daemon.tls import TlsLimits

ACCEPTS_PER_TURN: Final = 16  # then those who are connected already have their turn
PAUSE_STEP_S: Final = 0.002  # a pause gathers tokens for this long, so that a rate of thousands needs few timers
KEEPALIVE_IDLE_S: Final = 10  # without a byte, until the peer is asked whether it is there
KEEPALIVE_INTERVAL_S: Final = 5
KEEPALIVE_PROBES: Final = 3  # unanswered, then the connection is lost: 25 s after its last byte
UNACKNOWLEDGED_MS: Final = 25_000  # that sent bytes may lie unacknowledged, or before a peer that does not read
HURRY_S: Final = 1.0  # of a handshake while others wait for its place: it takes a few round trips
STEP_BACK_S: Final = 0.002  # a loop that is not busy comes around in this time
STAY_OUT_S: Final = 0.02  # until it is asked again whether there is room
GONE_FOR_A_TOKEN: Final = 64  # who left before being accepted costs 20 us, a handshake more than a millisecond
EXHAUSTED_PAUSE_S: Final = 0.1  # when the system has no file descriptor or memory for another connection
TOO_MANY: Final = "too many connections"

_GONE: Final = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM})  # that one connection, not the listener
_log = LimitedLog(logs.logger("daemon.accepting"), 1)
_CLOSED: Final = frozenset({7, 8})
"""TCP_CLOSE and TCP_CLOSE_WAIT of the kernel: the peer has reset the connection, or ended its side of it."""


def _has_gone(connection: socket.socket) -> bool:
    """Say whether the peer has given this connection up already."""
    if not hasattr(socket, "TCP_INFO"):  # Linux
        return False
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _CLOSED
    except OSError:
        return False


def _watch_peer(connection: socket.socket) -> None:
    """Have the kernel end a connection whose peer has vanished without a word, or takes nothing any more."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


class Neighbours(Protocol):
    """Other processes that accept on the same socket."""

    def step_back(self) -> bool:
        """Say whether one of them should have the connection that waits, if it comes soon."""

    def stay_out(self) -> bool:
        """Say whether one of them has room for it, and this process has none."""


class Acceptor:
    """Makes a protocol for each connection of one listening socket."""

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        pace: Pace,
        *,
        context: ssl.SSLContext | None,
        handshake_s: float,
        closing_s: float,
        room: Callable[[], bool] | None,
        refused: Callable[[str], None],
        neighbours: Neighbours | None = None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            make: makes a protocol; its `connection_made` comes after the handshake, or never if that fails, so `make`
                itself must note nothing.
            pace: of accepting, without TLS too.
            context: of TLS; None: without.
            handshake_s: limit of one handshake.
            closing_s: limit of TLS's closing.
            room: False: a connection is closed at once. It may count `handshaking` in.
            refused: called with the reason when that was done.
            neighbours: who else accepts on this socket; None: nobody.
        """
        self.context = context
        """May be replaced at any time (also None by a context and back): new connections use it."""
        self.handshaking = 0
        """Connections that were accepted and are not yet their protocol's."""
        self.handshakes_failed = 0
        self._make = make
        self._at_once = max(1, pace.at_once)
        self._tokens = pace.tokens()
        self._gather = max(1, int(pace.handshakes_per_s * PAUSE_STEP_S))
        self._tls_limits = TlsLimits(handshake_s, closing_s)
        self._room = room
        self._refused = refused
        self._neighbours = neighbours
        self._gone = 0
        """Peers that had gone before they were accepted."""
        self._stepped_back = False
        self._ours = False
        """A connection that still waits after a step back is to be taken."""
        self._listener: socket.socket | None = None
        self._accepting = False
        self._reading = False
        self._pause: asyncio.TimerHandle | None = None
        self._hurry: asyncio.TimerHandle | None = None
        self._tasks: dict[asyncio.Task[None], float] = {}
        """Handshakes, the oldest first, and when each began."""
        self._silent = SilentPeers(self._spoke)

    @property
    def listener(self) -> socket.socket | None:
        """The listening socket, for a handover; None before `start` and after `stop(close=True)`."""
        return self._listener

    def start(self, sock: socket.socket) -> None:
        """Accept on a socket that is bound and listens."""
        if self._accepting:
            raise RuntimeError("this acceptor accepts already")
        sock.setblocking(False)
        self._defer(sock)
        self._listener = sock
        self._accepting = True
        self._read()

    def stop(self, *, close: bool = False) -> None:
        """Take no new connections; handshakes go on. With `close` the socket is closed too, here and not elsewhere."""
        self._accepting = False
        self._unread()
        for timer in (self._pause, self._hurry):
            if timer is not None:
                timer.cancel()
        self._pause = self._hurry = None
        if close and self._listener is not None:
            self._listener.close()
            self._listener = None

    def abort(self) -> None:
        """Drop the connections whose handshake goes on, or has not begun."""
        self._silent.close()
        for task in self._tasks:
            task.cancel()

    async def settled(self) -> None:
        """Wait for the end of the handshakes that go on (each ends within its limit)."""
        while self._tasks or len(self._silent):
            if self._tasks:
                await asyncio.wait(list(self._tasks))
            else:
                await self._silent.ended()

    # ---- the listening socket

    def _defer(self, sock: socket.socket) -> None:
        """Have the kernel keep peers that say nothing: with TLS a client speaks first, so they hold no handshake."""
        if hasattr(socket, "TCP_DEFER_ACCEPT"):  # Linux
            seconds = math.ceil(self._tls_limits.handshake_s) if self.context is not None else 0
            with contextlib.suppress(OSError):  # not every kernel's network has it, and it is not needed
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)

    def _read(self) -> None:
        if self._accepting and not self._reading and self._pause is None and self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._readable)
            self._reading = True

    def _unread(self) -> None:
        if self._reading and self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._reading = False

    def _pause_for(self, seconds: float) -> None:
        self._unread()
        self._pause = asyncio.get_running_loop().call_later(seconds, self._pause_over)

    def _pause_over(self) -> None:
        self._pause = None
        self._ours, self._stepped_back = self._stepped_back, False
        self._read()
        if self._ours:
            self._readable()  # now: what comes later is to be left to the others again
            self._ours = False

    def _leaves_it(self) -> bool:
        """Leave what waits to the neighbours for a while, where that is fair."""
        neighbours = self._neighbours
        if neighbours is None:
            return False
        if neighbours.stay_out():
            self._pause_for(STAY_OUT_S)
            return True
        if self._ours or not neighbours.step_back():
            self._ours = False
            return False
        self._stepped_back = True
        self._pause_for(STEP_BACK_S)
        return True

    def _readable(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if self._listener is None or not self._reading:
                return  # `refused` may have stopped us
            if self.handshaking >= self._at_once:
                self._unread()  # the end of a handshake goes on
                self._hurry_up()
                return
            now = clock.monotonic()
            if not self._tokens.has_token(now):
                self._pause_for(self._tokens.wait_s(now, self._gather))
                return
            if self._leaves_it():
                return
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return  # there is none, or another process on the same socket was faster
            except OSError as error:
                if error.errno in _GONE:
                    continue
                self._exhausted(error)
                return
            self._accepted(connection, address, now)

    def _exhausted(self, error: OSError) -> None:
        _log.event(
            "error", "connections cannot be accepted", reason=error.strerror or str(error),
            what="they wait; raise LimitNOFILE (ulimit -n) if it is about files",
        )  # fmt: skip
        self._pause_for(EXHAUSTED_PAUSE_S)

    # ---- one connection

    def _accepted(self, connection: socket.socket, address: tuple[object, ...], now: float) -> None:
        if self._room is not None and not self._room():
            # It costs no token: a peer that will not be served must not delay one that will.
            connection.close()
            self._refused(TOO_MANY)
            return
        if self.context is not None and _has_gone(connection):
            connection.close()
            self.handshakes_failed += 1
            self._gone += 1
            if self._gone % GONE_FOR_A_TOKEN == 0:
                self._tokens.take(now)
            return
        peer = joined(str(address[0]), int(str(address[1])))
        if self.context is not None and self._silent.is_silent(connection):
            self._silent.wait_for(connection, peer)
        else:
            self._tokens.take(now)
            self._begin(connection, peer, now)

    def _spoke(self, connection: socket.socket, peer: str) -> None:
        """Take a connection that was silent; who comes at a bad time is to come again."""
        now = clock.monotonic()
        if self.handshaking < self._at_once and self._tokens.take(now):
            self._begin(connection, peer, now)
        else:
            connection.close()

    def _begin(self, connection: socket.socket, peer: str, now: float) -> None:
        self.handshaking += 1
        task = spawn(self._hand(connection, peer), "accepted connection")
        self._tasks[task] = now
        task.add_done_callback(partial(self._handed, connection))

    def _hurry_up(self) -> None:
        """Have the oldest handshake make room when it had HURRY_S."""
        if self._hurry is None and self._tasks:
            loop = asyncio.get_running_loop()
            wait_s = next(iter(self._tasks.values())) + HURRY_S - clock.monotonic()
            self._hurry = loop.call_later(max(0.0, wait_s), self._make_room)

    def _make_room(self) -> None:
        self._hurry = None
        if self.handshaking < self._at_once or not self._accepting:
            return
        latest = clock.monotonic() - HURRY_S
        late = [task for task, begun in self._tasks.items() if begun <= latest]
        for task in late:
            self.handshakes_failed += 1
            task.cancel()
        if late:
            _log.event("warning", "handshakes made room for others", count=len(late), seconds=HURRY_S)
        else:
            self._hurry_up()

    def _handed(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        # Not in the task itself: a task that is cancelled before its first step runs nothing of its own.
        if task.cancelled():
            connection.close()
        self.handshaking -= 1
        if self._accepting:
            self._read()

    async def _hand(self, connection: socket.socket, peer: str) -> None:
        """Give the connection to a protocol, after its handshake where there is TLS."""
        context = self.context
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _watch_peer(connection)
            protocol = self._make()
        except OSError:
            connection.close()  # it has gone already
            return
        except BaseException:
            connection.close()
            raise
        try:
            if context is None:
                await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, connection)
            else:
                await tls_opening.accept(protocol, connection, context, self._tls_limits)
        except ssl.SSLError as error:
            self._failed(peer, handshake.reason(error))
        except ConnectionAbortedError:
            self._failed(peer, f"not done within {self._tls_limits.handshake_s:g} s")
        except OSError:
            self.handshakes_failed += 1  # a peer that just went away is no event

    def _failed(self, peer: str, reason: str) -> None:
        self.handshakes_failed += 1
        handshake.failures.event("warning", "a TLS handshake failed", peer=peer, reason=reason)
