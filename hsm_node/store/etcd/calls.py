"""One call over several members: short tries, the preferred member first, until one answers or the time is up.

A member is looked at before its first call, and again after each failure: whose it is, and whether its version is one
that this driver can trust.
"""

import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import grpc

from hsm_cluster.address import Address
from hsm_daemon import clock, logs
from hsm_daemon.log_limit import LimitedLog
from hsm_node.store.base import HaltedStoreError, ReplacedStoreError, StoreError, UnreachableStoreError
from hsm_node.store.etcd.channels import METADATA, Link
from hsm_node.store.etcd.faults import Fault, Meaning, fault_of
from hsm_node.store.etcd.identity import Identity
from hsm_node.store.etcd.members import Members
from hsm_node.store.etcd.messages_pb2 import (
    Header,
    RangeRequest,
    RangeResponse,
    StatusRequest,
    StatusResponse,
    TxnRequest,
    TxnResponse,
)

TRY_S: Final = 0.5
"""For one member: a healthy one answers in milliseconds, with a slow disk in tens of them."""
CALL_S: Final = 0.8
"""For all tries of a change: whoever waits for it is told within a second that there is no quorum. What is left of the
second the proxy needs to ask another node."""
PAUSE_S: Final = 0.05
"""Between two rounds over all members."""
RETIRED_S: Final = 2.0
"""For which links that were replaced stay open: longer than any try that still uses one."""
LEAST_VERSION: Final = (3, 5, 30)
"""Before it: a watch's progress ahead of its events, a delete at the compacted revision that no watch sees."""
LEAST_VERSION_TEXT: Final = ".".join(map(str, LEAST_VERSION))

_OF_ALL: Final = (Meaning.FINAL, Meaning.HALTED)
"""Nothing is wrong with the member that says so, and no other one needs to be asked."""

_log = LimitedLog(logs.logger("hsm_node.store"), 1 / 10)
"""A member that must not be used is looked at again and again."""


class Answered(NamedTuple):
    """An answer, and when it was asked for."""

    answer: Any
    begun: float
    """By `clock.boottime`."""


class CompactedError(Exception):
    """That revision is no more."""


class Calls:
    """Linearizable calls. From any thread."""

    def __init__(self, links: list[Link]) -> None:
        """Connect to nobody yet.

        Args:
            links: to the members, the preferred first.
        """
        self._ways = links, Members([link.address for link in links])
        """Replaced together: other threads may be under way."""
        self.identity = Identity()
        self.closing = threading.Event()
        self.on_replaced: Callable[[ReplacedStoreError], None] = _nobody
        """Told, in the caller's thread, that what answers is not what was followed."""
        self.expired: Callable[[], str] = str
        """Says so when this node's own certificate has expired: members do not."""
        self._looked_at: set[Link] = set()
        self._retired: list[tuple[float, list[Link]]] = []

    @property
    def links(self) -> list[Link]:
        """To all members, the preferred first."""
        return self._ways[0]

    def link_to(self, member: Address | None) -> Link:
        """Return the link to a member (None: the preferred one), which may be another one than a moment ago.

        A reload that leaves out the member at the DR site is refused, so there is always one.
        """
        return next(link for link in self.links if member in (None, link.address))

    def order(self) -> list[Link]:
        """Return the links to all members in the order in which they are to be asked."""
        links, members = self._ways
        return [links[number] for number in members.order(clock.monotonic())]

    def range(self, request: RangeRequest, within_s: float = CALL_S) -> RangeResponse:
        """Read.

        Raises:
            CompactedError: the revision is no more.
            StoreError: nobody answered in time.
        """
        answer: RangeResponse = self.call(lambda link: link.range, request, within_s).answer
        return answer

    def txn(self, request: TxnRequest, within_s: float = CALL_S) -> TxnResponse:
        """Change.

        Raises:
            HaltedStoreError: it takes no changes from anybody; nothing was done.
            UnreachableStoreError: certainly nothing was done.
            StoreError: whether it was done is open.
        """
        answer: TxnResponse = self.call(lambda link: link.txn, request, within_s).answer
        return answer

    def call(self, of: Callable[[Link], Callable[..., Any]], request: object, within_s: float) -> Answered:
        """Ask one member after the other."""
        deadline = clock.monotonic() + within_s
        fault = Fault(Meaning.NOT_DONE, "no member was asked")
        doubt = False
        while not self.closing.is_set():
            for link in self.order():
                left = deadline - clock.monotonic()
                if left <= 0:
                    raise _given_up(fault, doubt=doubt)
                answered, fault = self._try(link, of, request, min(TRY_S, left))
                if answered is not None:
                    return answered
                doubt |= fault.meaning is Meaning.IN_DOUBT
                if fault.meaning in _OF_ALL:
                    raise _refused(fault, doubt=doubt)
            self.closing.wait(min(PAUSE_S, max(deadline - clock.monotonic(), 0.0)))
        raise StoreError("this node has closed the store")

    def renew(self, links: list[Link]) -> None:
        """Go on over other links, also to other members; what is under way over those before comes to its end."""
        old, before = self._ways
        members = Members([link.address for link in links])
        members.adopt(before)
        self._ways, self._looked_at = (links, members), set()
        self._retired.append((clock.monotonic() + RETIRED_S, old))

    def sweep(self) -> None:
        """Close links whose time is over; called now and then by one thread."""
        while self._retired and self._retired[0][0] < clock.monotonic():
            for link in self._retired.pop(0)[1]:
                link.close()

    def look_at(self, link: Link, within_s: float) -> StatusResponse:
        """Look whether a member may be used, and return what it says of itself.

        Raises:
            grpc.RpcError: it does not answer.
            ReplacedStoreError: it may not.
        """
        status: StatusResponse = link.status(StatusRequest(), timeout=within_s)
        self.identity.check_cluster(status.header)
        if is_too_old(status.version):
            raise ReplacedStoreError(
                f"the member {link.address} runs etcd {status.version}; upgrade it to {LEAST_VERSION_TEXT} or newer"
            )
        self._looked_at.add(link)
        return status

    def worked(self, link: Link) -> None:
        """Note that a member answered."""
        links, members = self._ways
        if link in links:
            members.worked(links.index(link))

    def failed(self, link: Link) -> None:
        """Note that a member did not answer: others are asked first for a while."""
        self._looked_at.discard(link)
        links, members = self._ways
        if link in links:
            members.failed(links.index(link), clock.monotonic())

    def waits(self, link: Link) -> bool:
        """Whether a member failed just now, or is not used any more."""
        links, members = self._ways
        return link not in links or members.waits(links.index(link), clock.monotonic())

    def close(self) -> None:
        """End all calls."""
        self.closing.set()
        for links in (self.links, *(links for _, links in self._retired)):
            for link in links:
                link.close()

    def _try(
        self, link: Link, of: Callable[[Link], Callable[..., Any]], request: object, within_s: float
    ) -> tuple[Answered | None, Fault]:
        asked = False
        begun = clock.monotonic()
        try:
            if link not in self._looked_at:
                self.look_at(link, within_s)
            floor, asked = self.identity.highest, True
            sent = clock.boottime()
            left = max(within_s - (clock.monotonic() - begun), 0.001)
            answer = of(link)(request, timeout=left, metadata=METADATA)
            header: Header = answer.header
            self.identity.check(header, floor)
        except ReplacedStoreError as error:
            _log.event("error", "a member of the store cannot be used", reason=str(error))
            if asked:
                self.on_replaced(error)
                raise
            fault = Fault(Meaning.NOT_DONE, str(error))
        except grpc.RpcError as error:
            fault = self._fault(error, asked=asked)
        except ValueError:  # gRPC's way to say that the channel is closed
            raise StoreError("this node has closed the store") from None
        else:
            self.worked(link)
            return Answered(answer, sent), Fault(Meaning.NOT_DONE, "")
        if fault.meaning not in _OF_ALL:
            self.failed(link)
        return None, fault

    def _fault(self, error: grpc.RpcError, *, asked: bool) -> Fault:
        fault = fault_of_call(error)
        if expired := self.expired():
            fault = fault._replace(text=f"{expired} ({fault.text})")
        if not asked:  # Only its state was asked for.
            return Fault(Meaning.NOT_DONE, fault.text)
        if fault.meaning is Meaning.COMPACTED:
            raise CompactedError(fault.text)
        return fault


def _nobody(_error: ReplacedStoreError) -> None:
    """Nobody is told."""


def fault_of_call(error: grpc.RpcError) -> Fault:
    """Return what an error of gRPC means."""
    call = cast(grpc.Call, error)  # What gRPC raises is both; its types cannot say so.
    return fault_of(call.code().name, call.details() or "")


def _given_up(fault: Fault, *, doubt: bool) -> StoreError:
    if doubt:
        return StoreError(f"no member answered in time, so whether it was done is open (the last: {fault.text})")
    return UnreachableStoreError(f"no member takes it, nothing was done (the last: {fault.text})")


def _refused(fault: Fault, *, doubt: bool) -> StoreError:
    """Return what to raise where no other member would do it; one that was asked before may have."""
    if doubt:
        return _given_up(fault, doubt=True)
    return HaltedStoreError(fault.text) if fault.meaning is Meaning.HALTED else UnreachableStoreError(fault.text)


def is_too_old(version: str) -> bool:
    """Whether a member of that version must not be used."""
    return _version(version) < LEAST_VERSION


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version; what is none counts as the oldest."""
    numbers = text.split("-")[0].split("+")[0].split(".")
    return tuple(int(number) for number in numbers) if all(number.isdecimal() for number in numbers) else (0,)
