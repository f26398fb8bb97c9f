"""Where a request meets a link: sent, left owed there, answered. Every path of every request goes through here, so
the counts of the windows and the promise of exactly one answer are kept in one place.

Operations that run `LONG` have no attempt time, and take no room in a node's window.
"""

from collections import Counter
from typing import Final

from hsm_wire import kinds
from hsm_wire.frames import encode_frame, readdress_request
from hsm_wire.limits import LENGTH_FIELD_BYTES
from hsm_wire.statuses import Status
from proxy.core.counters import Counters
from proxy.core.handling import Handling
from proxy.core.nodes.node_table import Node
from proxy.core.parties import MAX_LINK_ID, Owed, Request
from proxy.core.quota.quotas import Quotas
from proxy.core.requests.answers import NOT_EXECUTED, refusal
from proxy.core.requests.deadlines import DeadlineWheel
from proxy.core.requests.request_notes import LAST_OK, RequestNotes
from proxy.core.settings import Settings

NEVER: Final = float("inf")
STORED_S: Final = 0.9
"""From a request's arrival: who makes or changes something is told within a second that the store takes nothing. A node
that has just lost its store finds out in 0.8 s; one that has it needs milliseconds."""
_FLAGS_LOW: Final = 7
"""Where a frame has the low byte of its flags."""


class Switch:
    """Connects requests to links and takes them off again."""

    __slots__ = (
        "_attempt_s",
        "_attempts",
        "_bulk_bytes",
        "counters",
        "forgiven_at",
        "generations",
        "notes",
        "quotas",
        "settings",
        "wheel",
    )

    def __init__(self, settings: Settings, counters: Counters, quotas: Quotas, now: float) -> None:
        self.settings = settings
        # Of these, those that every request asks for: settings never change.
        self._bulk_bytes: int = settings.limits.bulk_bytes
        self._attempt_s: float = settings.retry.attempt_s
        self._attempts: int = settings.retry.attempts
        self.quotas = quotas
        self.counters = counters
        self.notes = RequestNotes()
        self.wheel = DeadlineWheel(now)
        self.generations: Counter[int] = Counter()
        """Partition -> its requests that run long."""
        self.forgiven_at = float("-inf")
        """When the proxy itself last stood still: time before it is not held against a node."""

    def send(self, request: Request, node: Node, now: float) -> None:
        """Send the request to a node of the rotation."""
        frame = request.frame
        size = len(frame.raw)
        link = node.link if size <= self._bulk_bytes else node.bulk
        assert link is not None, "a node in rotation has a link"
        if size - LENGTH_FIELD_BYTES > link.max_frame_bytes:
            self.fail(request, Status.TOO_LARGE, f"the nodes take at most {link.max_frame_bytes} bytes", now)
            return
        principal = request.client.principal
        number = principal.number
        if number not in link.announced:
            link.announced.add(number)
            link.sink(principal.bind_frame)
        link_id = link.next_id
        if link_id < MAX_LINK_ID:
            link.next_id = link_id + 1  # `take_id` written out: every request comes here
        else:
            link_id = link.take_id()
        in_flight = link.in_flight
        if not in_flight:
            link.owing_since = now
        in_flight[link_id] = request
        handling = request.handling
        if not handling.long:
            node.in_flight += 1
            if request.losses:
                node.suspects += 1
        request.link = link
        request.link_id = link_id
        request.attempts += 1
        request.sent_at = now
        deadline = request.deadline
        due = now + (self._attempt_s if handling.ordinary else self.fair_s(handling))
        over = deadline if deadline < request.stored_by else request.stored_by
        # The last attempt has all the time there is.
        self.wheel.file(request, due if due < over and request.attempts < self._attempts else over)
        left_ms = int((deadline - now) * 1000)
        link.sink(readdress_request(frame, link_id, left_ms if left_ms > 0 else 1, number))

    def fair_s(self, handling: Handling) -> float:
        """Return how long a node may take for such a request before it is held against it."""
        if handling.long:
            return NEVER
        return self.settings.retry.change_attempt_s if handling.change else self._attempt_s

    def charge(self, request: Request) -> None:
        """Hold a time-out against the node that has the request: once, however often it is looked at."""
        link = request.link
        if link is not None and request.timed_out is not link and not link.node.lacks_store(self.settings):
            request.timed_out = link
            link.node.errors += 1
            link.node.errors_in_a_row += 1

    def detach(self, request: Request) -> None:
        """Note that the request's link owes it no more: it was taken out of `in_flight`."""
        link = request.link
        assert link is not None, "only what was sent is detached"
        node = link.node
        if not request.handling.long:
            node.in_flight -= 1
            if request.losses:
                node.suspects -= 1
        request.link = None

    def leave(self, request: Request, now: float, *, cancel: bool) -> None:
        """Leave the request's answer owed by its link: whoever waits for it does not any more."""
        link = request.link
        assert link is not None, "only what was sent can be left"
        owed = Owed(request, link)
        link.in_flight[request.link_id] = owed
        if request.losses and not request.handling.long:
            link.node.suspects -= 1
        request.link = None
        self.wheel.file(owed, now + self.settings.limits.owed_answer_s)
        if cancel:
            link.sink(encode_frame(kinds.CANCEL, request_id=owed.link_id))

    def settle(self, owed: Owed) -> None:
        """Note that an answer that was owed has come, or was given up: it was taken out of `in_flight`."""
        if not owed.request.handling.long:
            owed.link.node.in_flight -= 1
        self.wheel.drop(owed)

    def abandon(self, request: Request, now: float) -> None:
        """Note that nobody waits for the request any more; its link or its queue is the caller's affair."""
        self._end(request, now, made=True)  # A node may make its key all the same, and would count it.

    def _end(self, request: Request, now: float, *, made: bool) -> None:
        """Take a request out of what is waited for; `made`: a key may have been made for it."""
        request.done = True
        slot = request.slot  # `DeadlineWheel.drop` written out: every request comes here
        if slot is not None:
            del slot[request]
            request.slot = None
        handling = request.handling
        if handling.counted:
            partition = request.client.principal.partition
            if handling.long:
                self.generations[partition] -= 1
            if handling.generates:
                self.quotas.settle(partition, now, made=made)

    def fail(self, request: Request, status: Status, detail: str, now: float, node: Node | None = None) -> None:
        """Answer the request with a failure of the proxy's own; `node` has it still."""
        raw = refusal(request.frame, status, detail, not_executed=not request.may_have_run)
        self.finish(request, raw, int(status), now, node)

    def out_of_time(self, request: Request, detail: str, now: float, node: Node | None = None) -> None:
        """Answer a request whose time is over; `node` has it still."""
        if now >= request.stored_by:
            self.fail(request, Status.STORE_UNAVAILABLE, "no node could reach the store in time", now, node)
        else:
            self.fail(request, Status.TIMEOUT, detail, now, node)

    def finish(self, request: Request, raw: bytes, status: int, now: float, node: Node | None = None) -> None:
        """Give the client its one answer; `node` gave it, or has the request still."""
        self._end(request, now, made=not status >> 8 or request.may_have_run)
        if request.may_have_run and raw[_FLAGS_LOW] & NOT_EXECUTED:
            # The last node tells of itself only; another one had this request before.
            raw = raw[:_FLAGS_LOW] + bytes((raw[_FLAGS_LOW] & ~NOT_EXECUTED,)) + raw[_FLAGS_LOW + 1 :]
        client = request.client
        asked = request.frame
        client_id = asked.request_id
        del client.in_flight[client_id]
        client.wire_ids.discard(client_id)
        if len(raw) - LENGTH_FIELD_BYTES > client.max_frame_bytes:
            status = int(Status.TOO_LARGE)
            detail = f"the answer is above the {client.max_frame_bytes} bytes that HELLO named"
            raw = refusal(asked, Status.TOO_LARGE, detail, not_executed=False)
        duration_s = now - request.started
        self.counters.finished(request.handling, status, duration_s)
        notes = self.notes
        if duration_s >= notes.noted_s or status > LAST_OK:
            notes.answered(request, status, node, now)
        client.sink(raw)
        if client.paused and client.resume is not None:
            client.resume()
        if client.leaving and not client.in_flight and client.drained is not None:
            client.drained()
