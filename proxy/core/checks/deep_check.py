"""The deep check of one node: a signature, through the node's own queue, that the proxy verifies.

PING shows that a node is there, not that it works: an HSM may be blocked behind a living daemon, or sign wrongly.
It is also the probe of a node that was taken out: it comes back when this works, and no client's request has to try.
"""

from enum import Enum
from typing import Final, Protocol

from hsm_wire import kinds
from hsm_wire.errors import BodyError
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Check, CheckResult, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.nodes.node_table import Node
from proxy.core.parties import Link, Probe
from proxy.core.principals import Bound
from proxy.core.settings import Settings

CHALLENGE_BYTES: Final = 32
_CHECK: Final = int(Opcode.CHECK)
_UNKNOWN: Final = int(Status.UNKNOWN_OPERATION)


class Notary(Protocol):
    """What of cryptography the core needs, done elsewhere."""

    def challenge(self) -> bytes:
        """Return CHALLENGE_BYTES random bytes."""

    def verifies(self, public_key: bytes, challenge: bytes, signature: bytes) -> bool:
        """Say whether this is the key's ECDSA signature (SHA-256, r || s) of the challenge."""


class Verdict(Enum):
    """How a deep check ended."""

    GOOD = "good"
    FAILED = "failed"
    """No answer in time, or a failure."""
    WRONG = "wrong"
    """A signature that does not verify: the node must not be trusted with anything."""


class DeepCheck:
    """The deep check of one node."""

    __slots__ = ("_link", "_notary", "_probe", "_public_key", "_who", "failed", "next_at")

    def __init__(self, notary: Notary, who: Bound, now: float) -> None:
        self._notary = notary
        self._who = who
        self._link: Link | None = None
        self._probe: Probe | None = None
        self._public_key = b""
        self.failed = 0
        """Failures in a row."""
        self.next_at = now

    @property
    def running(self) -> bool:
        """Whether an answer is awaited."""
        return self._probe is not None

    def restarted(self) -> None:
        """The node is a new process: it has another key."""
        self._public_key = b""
        self.failed = 0

    def ask(self, node: Node, link: Link, settings: Settings, now: float) -> None:
        """Send the question."""
        if self._who.number not in link.announced:
            link.announced.add(self._who.number)
            link.sink(self._who.bind_frame)
        self._probe = Probe(node, self._notary.challenge(), now)
        self._link = link
        link_id = link.take_own_id()
        if not link.in_flight:
            link.owing_since = now
        link.in_flight[link_id] = self._probe
        node.in_flight += 1
        link.sink(
            encode_frame(
                kinds.REQUEST,
                encode_body(Check(self._probe.challenge)),
                request_id=link_id,
                timeout_ms=int(settings.health.deep_timeout_s * 1000),
                principal=self._who.number,
                opcode=_CHECK,
            )
        )

    def answered(self, probe: Probe, frame: Frame) -> Verdict | None:
        """Take an answer; None for one that nobody waits for any more."""
        if probe is not self._probe:
            return None
        self._probe = None
        if frame.status == _UNKNOWN:  # an older node; that it answered out of its queue is something
            return self._good()
        if frame.status:
            return self._bad()
        try:
            result = decode_body(CheckResult, frame.body)
        except BodyError:
            return self._bad()
        if self._public_key and self._public_key != result.public_key:
            return Verdict.WRONG
        if not self._notary.verifies(result.public_key, probe.challenge, result.signature):
            return Verdict.WRONG
        self._public_key = result.public_key
        return self._good()

    def overdue(self, settings: Settings, now: float) -> Verdict | None:
        """Give up an answer that did not come in time; None while there is time."""
        probe, link = self._probe, self._link
        if probe is None or link is None or now - probe.sent_at < settings.health.deep_timeout_s:
            return None
        self._probe = None
        for link_id, entry in list(link.in_flight.items()):
            if entry is probe:
                del link.in_flight[link_id]
                probe.node.in_flight -= 1
        return self._bad()

    def forgive(self, now: float) -> None:
        """Give an answer under way its whole time again: the proxy itself stood still."""
        if self._probe is not None:
            self._probe.sent_at = now

    def link_lost(self, link: Link) -> None:
        """Forget a question whose link is gone: that is no answer of the node's."""
        if link is self._link:
            self._probe = None
            self._link = None

    def _good(self) -> Verdict:
        self.failed = 0
        return Verdict.GOOD

    def _bad(self) -> Verdict:
        self.failed += 1
        return Verdict.FAILED
