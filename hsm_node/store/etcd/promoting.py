"""The check records by which nodes of the DR site serve, and stand by again: each is one transaction.

Theory. A promotion raises the epoch, a demotion does not (docs/consistency.md, d1 and d7). A node that is fenced writes
neither. One is: its store lacks a promotion of which it knows, as the copy of the DR site may that was made a store of
its own. That store gets an epoch above all that the node has seen, and is followed then.
"""

from collections.abc import Callable, Collection
from typing import Final

import msgspec

from hsm_node.core.keyring import Keyring
from hsm_node.store.base import ReplacedStoreError, StoreError, UnreachableStoreError
from hsm_node.store.check_record import CheckRecord
from hsm_node.store.etcd.calls import Calls
from hsm_node.store.etcd.epochs import Epochs, authentic
from hsm_node.store.etcd.following import Following
from hsm_node.store.etcd.messages_pb2 import KeyValue, RangeResponse
from hsm_node.store.etcd.opening import encoded
from hsm_node.store.etcd.transactions import CHECK_KEY, get, only, promotion
from hsm_node.store.etcd.warming import Warming

MAX_TRIES: Final = 4
"""Of one check record that other nodes write as well: each of them writes it once in a rotation."""


class Promoting:
    """Of one node. From any thread."""

    def __init__(self, calls: Calls, following: Following, epochs: Epochs, warming: Warming) -> None:
        self._calls = calls
        self._following = following
        self._epochs = epochs
        self._warming = warming

    @property
    def outlived(self) -> bool:
        """Whether this node is fenced for an epoch alone."""
        return bool(self._following.fenced) and self._following.fenced == self._epochs.outlived

    def promote(self, keyring: Keyring, gone: Collection[str], epoch: int) -> None:
        """Have the DR site serve; see `Store`."""

        def promoted(found: CheckRecord) -> CheckRecord:
            if found.promoted and found.epoch >= epoch:
                return found
            return msgspec.structs.replace(found, epoch=max(found.epoch + 1, epoch), promoted=True)

        if not self.outlived or epoch <= self._epochs.seen:
            self._following.check()
        self._turn(keyring, promoted, gone)

    def demote(self, keyring: Keyring) -> None:
        """Have it stand by; see `Store`."""
        self._following.check()
        self._turn(keyring, lambda found: msgspec.structs.replace(found, promoted=False))

    def has_dr_member(self) -> bool:
        """Whether the DR site's member is of this store, whose majority answers; see `Store`."""
        self._read()
        return self._warming.has_dr_member()

    def _turn(self, keyring: Keyring, after: Callable[[CheckRecord], CheckRecord], gone: Collection[str] = ()) -> None:
        """Put another check record in the place of the one that is there, unless it is the same."""
        for _ in range(MAX_TRIES):
            pair = only(self._read())
            found = None if pair is None else authentic(pair, keyring)
            if pair is None or found is None:
                raise StoreError("its check record is gone or damaged, or under a master key that this node has not")
            self._epochs.read(pair)
            record = after(found)
            if record == found:
                return
            value = encoded(record, keyring)
            answer = self._calls.txn(promotion(value, pair.value, gone))
            if answer.succeeded:
                self._epochs.read(KeyValue(key=CHECK_KEY, value=value, mod_revision=answer.header.revision))
                return
        raise StoreError("its check record is written by others all the time")

    def _read(self) -> RangeResponse:
        """Return the answer with the check record.

        Raises:
            UnreachableStoreError: nobody answers, so nothing was changed.
        """
        try:
            return self._calls.range(get(CHECK_KEY))
        except ReplacedStoreError:
            raise
        except StoreError as error:
            raise UnreachableStoreError(str(error)) from None
