"""Which members could be used: the thread that looks at each of them, needed or not.

Calls go to the preferred member, and to the next one when it fails. Without this look a member that is down, damaged,
full or another cluster's would be found on the day on which it is needed.
"""

import contextlib
import threading
from collections.abc import Iterable, Mapping
from typing import Final

import grpc

from hsm_cluster.address import Address
from hsm_daemon import clock, logs
from hsm_daemon.errors import StartError
from hsm_daemon.log_limit import LimitedLog
from hsm_node.core.keyring import Keyring
from hsm_node.store.base import ReplacedStoreError, StoreError
from hsm_node.store.etcd.calls import LEAST_VERSION_TEXT, Calls, fault_of_call, is_too_old
from hsm_node.store.etcd.channels import Link
from hsm_node.store.etcd.epochs import Epochs, authentic
from hsm_node.store.etcd.messages_pb2 import KeyValue, RangeRequest, StatusRequest, StatusResponse
from hsm_node.store.etcd.transactions import CHECK_KEY, only
from hsm_node.store.etcd.watching import END_S

INTERVAL_S: Final = 5.0
"""Between two looks at all members: what is wrong with one of them is for an operator, not for a request."""
LOOK_S: Final = 1.0
"""For one member; a healthy one answers in milliseconds."""
ALARMS: Final = {
    "NOSPACE": "its quota is full, and changes are refused: compact, defragment each member, disarm the alarm",
    "CORRUPT": "the members' data differ, and changes are refused: replace the damaged one, then disarm the alarm",
}
"""What each alarm of the members means; `hsmctl doctor` knows these words."""

_log = logs.logger("hsm_node.store")
_kept_not = LimitedLog(_log, 1 / 60)
"""Each look finds it again."""


class Survey:
    """Begins with `start`, ends when the calls are closed."""

    def __init__(self, calls: Calls, epochs: Epochs) -> None:
        """Look at nobody yet.

        Args:
            calls: to the members.
            epochs: hears of members that belong to another cluster: the DR site may have been promoted.
        """
        self._calls = calls
        self._epochs = epochs
        self._wrong = {str(link.address): "" for link in calls.links}
        self._thread = threading.Thread(target=self._run, name="etcd-survey", daemon=True)

    @property
    def wrong(self) -> Mapping[str, str]:
        """Address of each member -> what is wrong with it; empty: nothing."""
        return self._wrong

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread's end, after all was closed."""
        if self._thread.is_alive():
            self._thread.join(END_S)

    def look(self) -> None:
        """Look at each member once, and log what has changed."""
        wrong = self._wrong  # Before the links: where they are replaced meanwhile, this is read by nobody any more.
        for link in self._calls.links:
            found = self._look_at(link)
            if self._calls.closing.is_set() or wrong is not self._wrong:
                return
            member = str(link.address)
            before, wrong[member] = wrong.get(member, ""), found
            if found and found != before:
                logs.event(_log, "warning", "a member of the store is out", member=member, reason=found)
            elif before and not found:
                logs.event(_log, "info", "a member of the store is back", member=member)

    def renewed(self) -> None:
        """Forget members that are no more among the links; of new ones nothing is known yet."""
        self._wrong = {str(link.address): self._wrong.get(str(link.address), "") for link in self._calls.links}

    def once(self) -> None:
        """Look at each member once, whatever comes of it."""
        try:
            self.look()
        except StoreError as error:
            _kept_not.event("error", "a member of another epoch could not be judged", reason=str(error))

    def _run(self) -> None:
        due = clock.monotonic()
        while not self._calls.closing.wait(max(due - clock.monotonic(), 0.0)):
            due = clock.monotonic() + INTERVAL_S
            self._calls.sweep()
            self.once()

    def _look_at(self, link: Link) -> str:
        try:
            return wrong_with(self._calls.look_at(link, LOOK_S))
        except ReplacedStoreError as error:
            self._epochs.shown(check_records([link]))
            return str(error)
        except grpc.RpcError as error:
            return self._calls.expired() or fault_of_call(error).text
        except ValueError:  # gRPC's way to say that the channel is closed
            return "its channel was closed"


def wrong_with(status: StatusResponse) -> str:
    """Return what a member of this cluster says is wrong with it; empty: nothing."""
    for alarm, text in ALARMS.items():
        if any(alarm in error for error in status.errors):
            return text
    if status.is_learner:
        return "it is a learner and takes no requests: `etcdctl member promote` it"
    return "" if status.leader else "it sees no leader: fewer members than a majority can reach each other"


def check_records(links: Iterable[Link]) -> list[KeyValue]:
    """Return the check record that each of these members has, as it knows it; of one that does not answer, nothing."""
    found = []
    for link in links:
        with contextlib.suppress(grpc.RpcError, ValueError):
            # Without metadata: a member that has lost its others has seen what it has seen all the same.
            pair = only(link.range(RangeRequest(key=CHECK_KEY, serializable=True), timeout=LOOK_S))
            found += [] if pair is None else [pair]
    return found


def check_endpoints(calls: Calls, keyring: Keyring, recovery: Address | None = None) -> list[KeyValue]:
    """Refuse members of more than one cluster, and members that are all too old, before anything is read or written.

    Whoever does not answer is looked at before it is used. Two etcd clusters that are one store in different epochs are
    what a promotion leaves behind: the first one is followed, and all their check records are returned. In one epoch
    they are what a promotion begins with, when `hsmctl dr promote --force` has made the member `recovery` a store of
    its own and another one answers still: a node that prefers that member, so one of its site, follows it. It serves
    nobody before the epoch is higher.

    Raises:
        StartError: it names the addresses.
    """
    found: dict[Link, StatusResponse] = {}
    for link in calls.links:
        with contextlib.suppress(grpc.RpcError):
            found[link] = link.status(StatusRequest(), timeout=LOOK_S)
    clusters = {status.header.cluster_id: link for link, status in found.items()}
    others = check_records(clusters.values()) if len(clusters) > 1 else []
    first = next(iter(found), None)
    begins = first is not None and first is calls.links[0] and first.address == recovery
    if len(clusters) > 1 and not _one_store(others, len(clusters), keyring, begins=begins):
        named = ", ".join(f"{link.address} to {cluster:x}" for cluster, link in clusters.items())
        raise StartError(f"[store] endpoints lead to members of different etcd clusters ({named}); correct them")
    if found and all(is_too_old(status.version) for status in found.values()):
        runs = ", ".join(f"{link.address} runs etcd {status.version}" for link, status in found.items())
        raise StartError(f"the store's members are too old ({runs}); upgrade them to {LEAST_VERSION_TEXT} or newer")
    if first is not None:
        calls.identity.check_cluster(found[first].header)
    return others


def _one_store(pairs: list[KeyValue], count: int, keyring: Keyring, *, begins: bool) -> bool:
    """Whether these are the check records of one store in so many epochs, or in the first of them still."""
    try:
        records = [record for pair in pairs if (record := authentic(pair, keyring)) is not None]
    except StoreError as error:
        raise StartError(f"[store] endpoints lead to members of different etcd clusters, and {error}") from None
    epochs = len(records) if begins else len({record.epoch for record in records})
    return epochs == count and len({record.cluster_id for record in records}) == 1
