"""Whose store it is: the check record in etcd, made by the first node and authenticated by each at its start.

Theory. An etcd that is empty looks like the store of a new cluster, but may be somebody else's, or a member that was
set up as a cluster of its own. A new node that is led there must not begin a second store beside the one that all
others have. So only the node makes a store that cluster.toml has first, which no node is that is added; and only where
more than half of the endpoints answer and are one etcd, which a store needs anyway for whatever is written to it.
"""

import contextlib
import os
from typing import Annotated, Final

import grpc
import msgspec

from hsm_daemon import clock
from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store.base import ReplacedStoreError, StoreError
from hsm_node.store.check_record import (
    CLUSTER_ID_BYTES,
    FIRST_EPOCH,
    CheckRecord,
    ClusterRow,
    accept,
    check_cluster,
    make_check_record,
)
from hsm_node.store.etcd.calls import TRY_S, Calls
from hsm_node.store.etcd.messages_pb2 import KeyValue
from hsm_node.store.etcd.transactions import CHECK_KEY, found_in, get, only, page, put
from hsm_node.store.migration.mark import MARK_SCHEMA

SCHEMA_VERSION: Final = 2
"""As of the check record in SQLite; an earlier one never was in etcd."""
OPEN_S: Final = 10.0
"""For the first answer: an election takes two to three seconds, and members may start with the nodes."""
MAKER_S: Final = 30.0
"""For the node that makes the store to do so: all nodes of a new cluster may start at once, on busy machines."""
AGAIN_S: Final = 0.25
"""Between two looks."""
SETTING: Final = "[store] endpoints"


class _Schema(msgspec.Struct, frozen=True):
    """What every version writes."""

    schema: Annotated[int, msgspec.Meta(ge=1)]


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value under the check record's key."""

    schema: int
    record: CheckRecord
    mac: bytes


class Checked(msgspec.Struct, frozen=True):
    """A check record as it was read. Nobody has authenticated it."""

    record: CheckRecord
    mac: bytes
    revision: int
    value: bytes
    """As it is stored."""


def encoded(record: CheckRecord, keyring: Keyring) -> bytes:
    """Return what is stored of a check record, under the master key that it names."""
    return authenticated(record, keyring.mac(record.authenticated, record.master_key_version))


def authenticated(record: CheckRecord, mac: bytes) -> bytes:
    """Return what is stored of a check record that has its MAC already."""
    return msgspec.msgpack.encode(_Kept(SCHEMA_VERSION, record, mac))


def read_check(calls: Calls, within_s: float) -> Checked | None:
    """Return the check record; None: there is none.

    Raises:
        StoreError: it cannot be read, or has not the form of one.
    """
    found = only(calls.range(get(CHECK_KEY), within_s))
    return None if found is None else decoded(found)


def open_store(calls: Calls, place: str, cluster: str, keyring: Keyring, *, make: bool, maker: str = "") -> Checked:
    """Return the check record of a store that belongs to this cluster and master key; the keyring uses its keys.

    Args:
        calls: to the store.
        place: how it is called in a line for people.
        cluster: name of this node's.
        keyring: of this node.
        make: whether a new store may be made where there is none.
        maker: name of the node that makes it, where this one may not; empty: there has been a store, and it is gone.

    Raises:
        StartError: it cannot be reached, is damaged, newer, another cluster's, or of another master key.
    """
    try:
        checked = read_check(calls, OPEN_S)
        if checked is None:
            if only(calls.range(page(b"", 0, 1), OPEN_S)) is not None:
                raise StartError(f"{place}: the store has records but no check record; restore it from a backup")
            if not make and not maker:
                raise StartError(
                    f"{place}: the store that this node used is empty; restore it from a backup, correct {SETTING}, "
                    "or remove store.json from state_dir to begin with an empty store"
                )
            checked = _made(calls, place, cluster, keyring) if make else _awaited(calls, place, maker)
    except StoreError as error:
        raise StartError(
            f"{place}: the store cannot be used ({error}); look whether its members run, and at {SETTING} and tls"
        ) from None
    check_cluster(place, checked.record, cluster, SETTING)
    accept(place, checked.record, checked.mac, keyring)
    return checked


def _awaited(calls: Calls, place: str, maker: str) -> Checked:
    """Return the check record when the node has made it that has to: at the first start of all, they start at once."""
    deadline = clock.monotonic() + MAKER_S
    while clock.monotonic() < deadline and not calls.closing.wait(AGAIN_S):
        checked = read_check(calls, OPEN_S)
        if checked is not None:
            return checked
    raise StartError(
        f"{place}: it has no store, and only {maker}, the first node of cluster.toml, makes one; start that one first, "
        f"or, if this cluster has a store, correct {SETTING}: they lead elsewhere"
    )


def _check_majority(calls: Calls, place: str) -> None:
    """Refuse to make a store in an etcd that has not more than half of the endpoints: it may be somebody else's."""
    deadline = clock.monotonic() + OPEN_S
    needed = len(calls.links) // 2 + 1
    while True:
        answer = 0
        for link in calls.links:
            with contextlib.suppress(grpc.RpcError, ReplacedStoreError):
                calls.look_at(link, TRY_S)
                answer += 1
        if answer >= needed:
            return
        if clock.monotonic() >= deadline or calls.closing.wait(AGAIN_S):
            raise StartError(
                f"{place}: a new store is made when more than half of its members answer, and {answer} of "
                f"{len(calls.links)} do; start them, or correct {SETTING}"
            )


def _made(calls: Calls, place: str, cluster: str, keyring: Keyring) -> Checked:
    """Make the check record, unless another process is faster: then return what that made."""
    _check_majority(calls, place)
    keyring.make_store_keys()
    record = make_check_record(ClusterRow(os.urandom(CLUSTER_ID_BYTES), cluster, FIRST_EPOCH), keyring)
    value = encoded(record, keyring)
    answer = calls.txn(put(CHECK_KEY, value, {CHECK_KEY: 0}), OPEN_S)
    found = None if answer.succeeded else found_in(answer)
    return decoded(found or KeyValue(key=CHECK_KEY, value=value, mod_revision=answer.header.revision))


def decoded(pair: KeyValue) -> Checked:
    """Return a check record that was read.

    Raises:
        StoreError: it has not the form of one.
    """
    try:
        schema = msgspec.msgpack.decode(pair.value, type=_Schema).schema
        if schema == MARK_SCHEMA:
            raise StoreError("a move of an SQLite store to it has not ended: run `hsmctl store migrate` again")
        if schema > SCHEMA_VERSION:
            raise StoreError(f"it has schema version {schema}, this program knows {SCHEMA_VERSION}; upgrade hsm-node")
        kept = msgspec.msgpack.decode(pair.value, type=_Kept)
    except msgspec.DecodeError:
        raise StoreError("its check record is damaged; restore it from a backup") from None
    return Checked(kept.record, kept.mac, pair.mod_revision, pair.value)
