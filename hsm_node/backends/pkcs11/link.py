"""The node's end of the device: many threads ask, each over a line of its own; a device that is lost is brought back.

Theory. A line is asked by one thread at a time and served by one session, so what comes back is always the answer to
the last question. A line that is silent for too long hangs in the module. Nobody can end a call there, so the whole
process is ended: all that were waiting hear of it at once, and their requests are done elsewhere. What brings the
device back is the way that started it, PIN rules and all, in a thread of its own.

How many sessions a device gives is learnt: at the start, and when it refuses to open one anew that it has closed. That
one is retired, the call is made in another one, and `sessions` says how many are left, to who gives the device work.

The event loop has a line that nobody else uses, and a short limit: it stands still for that long once, and then the
device is lost, and whoever asks is refused without waiting.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from hsm_daemon import logs
from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.channel import Channel, ChannelError
from hsm_node.backends.pkcs11.core.recovery import next_wait_s
from hsm_node.backends.pkcs11.core.return_values import SESSION_COUNT, Fault, meaning, refusal
from hsm_node.backends.pkcs11.opening import DeviceStartError, OpenedDevice
from hsm_node.backends.pkcs11.pin_file import PinFileError
from hsm_node.backends.pkcs11.process import DeviceProcess
from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status

USE_LIMIT_S: Final = 5.0
"""Of one use of a key. Proxies ask elsewhere after one second; a device that is that slow under load is not hanging."""
GENERATION_LIMIT_S: Final = 600.0
"""Of one key generation: RSA-8192 takes minutes in small devices."""
LOOP_LIMIT_S: Final = 0.2
"""How long the event loop may stand still for the device. Half a second is a stall, for which a node goes out."""
MIN_LINES: Final = 2
"""One of the loop, one of everything else."""

RETIRED_S: Final = 60.0
"""How long a session that the device had no room for is left alone: another application may have closed some then."""

_log = logs.logger("hsm_node.device")


class _NoSessionError(Exception):
    """The device has no room for the session that a line had; nothing was done."""

    def __init__(self, refused: Refusal) -> None:
        super().__init__()
        self.refusal = refused


class DeviceLink:
    """Asks the device. Threads share it."""

    def __init__(self, open_device: Callable[[], OpenedDevice], loop_limit_s: float = LOOP_LIMIT_S) -> None:
        """Open it for the first time, in the thread of the event loop.

        Args:
            open_device: starts it and logs in.
            loop_limit_s: how long the event loop waits for an answer.

        Raises:
            DeviceStartError, PinFileError: it cannot be used.
        """
        self._open = open_device
        self._loop_thread = threading.get_ident()
        self._loop_limit_s = loop_limit_s
        self._changed = threading.Condition()
        self._free: list[Channel] = []
        self._loop_line: Channel | None = None
        self._process: DeviceProcess | None = None
        self._forgotten: list[messages.KeyRef] = []
        self._retired: deque[tuple[float, Channel]] = deque()
        """When, and which lines: the device had no room for their sessions."""
        self._wanted = 0
        self._told = 0
        """The number of sessions that was told last; 0: nothing had to be."""
        self._closed = False
        self._waited_s = 0.0
        self._opened_at = 0.0
        self.reason = ""
        """Why the device cannot be asked; empty: it can."""
        self.locked = False
        """Whether an operator has to act before anything is tried."""
        self.losses = 0
        """Times that the device was lost."""
        self.sessions = 0
        """How many there are, the loop's not counted."""
        self.seen, self.begun = self._install(open_device())

    @property
    def process_id(self) -> int | None:
        """Of the module's process."""
        process = self._process
        return None if process is None else process.pid

    @property
    def idle(self) -> int:
        """Sessions that nobody uses now."""
        return len(self._free)

    def ask(self, question: messages.Question, limit_s: float = USE_LIMIT_S) -> messages.Answer:
        """Return the answer; called in threads.

        Raises:
            Refusal: the device is not here, or did not do it.
        """
        while True:
            process, line = self._line(limit_s)
            retired = False
            try:
                while self._forgotten:
                    self._exchange(process, line, messages.Forget(self._forgotten.pop()), USE_LIMIT_S)
                return self._exchange(process, line, question, limit_s)
            except _NoSessionError as refused:
                retired = self._retire(process, line)
                if not retired:
                    raise refused.refusal from None
            finally:
                if not retired:
                    self._give_back(process, line)

    def ask_on_loop(self, question: messages.Question) -> messages.Answer:
        """Return the answer; called on the event loop, and nowhere else.

        Raises:
            Refusal: as for `ask`; after the loop's limit at the latest.
        """
        process, line = self._process, self._loop_line
        if process is None or line is None:
            raise self._lost()
        try:
            return self._exchange(process, line, question, self._loop_limit_s)
        except _NoSessionError as refused:
            raise refused.refusal from None

    def ask_here(self, question: messages.Question) -> messages.Answer:
        """Return the answer; called in any thread, the loop's too.

        Raises:
            Refusal: as for `ask`; on the loop after its limit at the latest.
        """
        return self.ask_on_loop(question) if threading.get_ident() == self._loop_thread else self.ask(question)

    def forget(self, key: messages.KeyRef) -> None:
        """Have what is loaded of a key destroyed, before the next question is asked."""
        self._forgotten.append(key)

    def close(self) -> None:
        """End the device's process; nothing brings it back."""
        with self._changed:
            self._closed = True
            process, self._process = self._process, None
            self.reason = "the node is stopping"
            self._changed.notify_all()
        if process is not None:
            process.end()

    def _line(self, limit_s: float) -> tuple[DeviceProcess, Channel]:
        """Return a free line, and whose it is."""
        with self._changed:
            while self._retired and time.monotonic() - self._retired[0][0] >= RETIRED_S:
                self._free.insert(0, self._retired.popleft()[1])
                self.sessions += 1
            if not self._changed.wait_for(lambda: self._free or self._process is None, limit_s):
                raise Refusal(Status.OVERLOADED, "all sessions of the device are at work", not_executed=True)
            if self._process is None:
                raise self._lost()
            return self._process, self._free.pop()

    def _give_back(self, process: DeviceProcess, line: Channel) -> None:
        with self._changed:
            if self._process is process:
                self._free.append(line)
                self._changed.notify()

    def _retire(self, process: DeviceProcess, line: Channel) -> bool:
        """Leave a line alone that the device has no session for; False for the last one, which has to do."""
        with self._changed:
            if self._process is not process or self.sessions <= 1:
                return False
            self._retired.append((time.monotonic(), line))
            self.sessions -= 1
            if self.sessions < (self._told or self._wanted):
                self._tell()
            return True

    def _tell(self) -> None:
        """Say how many sessions there are, once."""
        if self.sessions == self._told:
            return
        self._told = self.sessions
        fewer = self.sessions < self._wanted
        what = "the node keeps to them, and has proxies send it less" if fewer else "it gives all that are wanted again"
        level = "warning" if fewer else "info"
        text = "the device gives another number of sessions"
        logs.event(_log, level, text, sessions=self.sessions, wanted=self._wanted, what=what)

    def _exchange(
        self, process: DeviceProcess, line: Channel, question: messages.Question, limit_s: float
    ) -> messages.Answer:
        try:
            line.limit(limit_s)
            line.send(messages.encoder.encode(question))
            message = line.receive()
        except ChannelError as error:
            raise self._failed(process, f"{type(question).__name__}: {error}") from None
        if not message:
            raise self._failed(process, "its process has ended")
        answer = messages.answers.decode(message)
        if isinstance(answer, messages.Failed):
            row = meaning(answer.number)
            if row.fault in (Fault.SESSION, Fault.TOKEN):
                self._lose(process, f"{answer.function} returned {row.name}")
            if (answer.number, answer.function) == (SESSION_COUNT, "C_OpenSession"):
                raise _NoSessionError(refusal(answer.number))
            raise refusal(answer.number)
        return answer

    def _failed(self, process: DeviceProcess, reason: str) -> Refusal:
        self._lose(process, reason)
        return Refusal(Status.DEVICE_ERROR, "the device did not answer; send the request again")

    def _lost(self) -> Refusal:
        text = (
            "the device is locked; tell the operator" if self.locked else "the device is gone; send the request again"
        )
        return Refusal(Status.DEVICE_ERROR, text, not_executed=True)

    # Loss and return

    def _lose(self, process: DeviceProcess, reason: str) -> None:
        """Give the device up, once for all who notice, and begin to bring it back."""
        with self._changed:
            if self._process is not process:
                return
            self._process = self._loop_line = None
            self._free = []
            self._retired.clear()
            self.reason = reason
            self.losses += 1
            self._changed.notify_all()
        logs.event(_log, "error", "the device is lost", reason=reason, what="it is started anew")
        process.kill()
        threading.Thread(target=self._bring_back, args=(process,), name="device", daemon=True).start()

    def _bring_back(self, process: DeviceProcess) -> None:
        process.end()
        worked_s = time.monotonic() - self._opened_at
        while True:
            self._waited_s = next_wait_s(self._waited_s, worked_s)
            worked_s = 0.0
            with self._changed:
                if self._changed.wait_for(lambda: self._closed, self._waited_s):
                    return
            try:
                self.seen, self.begun = self._install(self._open())
            except (DeviceStartError, PinFileError, OSError) as error:
                self.reason = str(error)
                self.locked = isinstance(error, DeviceStartError) and error.locked
                if self.locked:
                    logs.event(_log, "error", "the device is locked", reason=str(error))
                    return
                continue
            logs.event(_log, "info", "the device is back", sessions=self.sessions)
            return

    def _install(self, opened: OpenedDevice) -> tuple[messages.Seen, messages.Begun]:
        lines = list(opened.lines)
        if len(lines) < MIN_LINES:
            opened.process.end()
            raise DeviceStartError(f"the device gives {len(lines)} session(s) and a node needs {MIN_LINES}")
        with self._changed:
            if self._closed:
                opened.process.end()
                raise DeviceStartError(self.reason)
            self._process = opened.process
            self._loop_line, *self._free = lines
            self._wanted = opened.wanted - 1
            self.sessions = len(self._free)
            if self.sessions < self._wanted or self._told:
                self._tell()
            self.reason = ""
            self._opened_at = time.monotonic()
            self._changed.notify_all()
        return opened.seen, opened.begun
