"""The stores that a promotion has made two of: the one that was left behind, and the one that went on.

Theory. Members of the old sites have their data still, in a lower epoch. Each of them answers serializable reads, alone
or as a majority, so whichever has come furthest is read, at one revision. Nothing here is believed: each record has its
MAC, which whoever takes it looks at.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import grpc

from hsm_node.store.base import PAGE_ROWS, Row, Side, StoreError
from hsm_node.store.etcd.calls import fault_of_call
from hsm_node.store.etcd.channels import Link
from hsm_node.store.etcd.epochs import Epochs
from hsm_node.store.etcd.messages_pb2 import RangeRequest, RangeResponse
from hsm_node.store.etcd.survey import LOOK_S
from hsm_node.store.etcd.transactions import CHECK_KEY, get, only, page, row_of

PAGE_S: Final = 5.0
"""For one page: a busy disk must not look like a lost member."""


class MemberSnapshot:
    """Implements `Snapshot` with what one member has."""

    def __init__(self, link: Link, revision: int) -> None:
        """Read nothing yet."""
        self._link = link
        self.revision = revision
        self._after = b""
        self._more = True

    def read(self) -> list[Row]:
        if not self._more:
            return []
        request = page(self._after, self.revision, PAGE_ROWS)
        found = _asked(self._link, request, PAGE_S)
        self._more = found.more
        if found.kvs:
            self._after = found.kvs[-1].key
        return [row_of(pair) for pair in found.kvs]

    def close(self) -> None:
        """Nothing is held for it."""


def find_left_behind(links: Iterable[Link], epochs: Epochs) -> Side | None:
    """Return what the member has that came furthest in the highest epoch below the own one; None: none answers.

    Raises:
        StoreError: nobody can say whether a check record is authentic.
    """
    own = epochs.record.epoch
    return _furthest(links, epochs, lambda epoch: epoch < own)


def find_both_sides(links: Sequence[Link], epochs: Epochs) -> tuple[Side, Side] | None:
    """Return the own store, and the one of the highest epoch above; None: not both answer.

    Raises:
        StoreError: nobody can say whether a check record is authentic.
    """
    own = epochs.record.epoch
    old, new = _furthest(links, epochs, lambda epoch: epoch == own), _furthest(links, epochs, lambda epoch: epoch > own)
    return None if old is None or new is None else (old, new)


def _furthest(links: Iterable[Link], epochs: Epochs, wanted: Callable[[int], bool]) -> Side | None:
    """Return what the member has that came furthest in the highest epoch that is wanted; None: none answers."""
    found: list[tuple[int, int, str, Link]] = []
    for link in links:
        with contextlib.suppress(StoreError):
            answer = _asked(link, get(CHECK_KEY), LOOK_S)
            pair = only(answer)
            epoch = 0 if pair is None else epochs.of(pair)
            if epoch and wanted(epoch):
                found.append((epoch, answer.header.revision, str(link.address), link))
    if not found:
        return None
    epoch, revision, place, link = max(found, key=lambda each: each[:3])
    return Side(place, epoch, MemberSnapshot(link, revision))


def _asked(link: Link, request: RangeRequest, within_s: float) -> RangeResponse:
    request.serializable = True  # Without metadata: it may have lost its others.
    try:
        answer: RangeResponse = link.range(request, timeout=within_s)
    except grpc.RpcError as error:
        raise StoreError(f"the member {link.address}: {fault_of_call(error).text}") from None
    except ValueError:  # gRPC's way to say that the channel is closed
        raise StoreError("this node has closed the store") from None
    return answer
