"""Which members could be used: the thread that looks at each of them, needed or not.

Calls go to the preferred member, and to the next one when it fails. Without this look a member that is down, damaged,
full or another cluster's would be found on the day on which it is needed.
"""

import contextlib
import threading
from collections.abc import Mapping
from typing import Final

import grpc

from hsm_daemon import clock, logs
from hsm_daemon.errors import StartError
from hsm_node.store.base import ReplacedStoreError
from hsm_node.store.etcd.calls import LEAST_VERSION_TEXT, Calls, fault_of_call, is_too_old
from hsm_node.store.etcd.messages_pb2 import StatusRequest, StatusResponse
from hsm_node.store.etcd.watching import END_S

INTERVAL_S: Final = 5.0
"""Between two looks at all members: what is wrong with one of them is for an operator, not for a request."""
LOOK_S: Final = 1.0
"""For one member; a healthy one answers in milliseconds."""
_ALARMS: Final = {
    "NOSPACE": "its quota is full, and changes are refused: compact, defragment each member, disarm the alarm",
    "CORRUPT": "the members' data differ, and changes are refused: replace the damaged one, then disarm the alarm",
}

_log = logs.logger("hsm_node.store")


class Survey:
    """Begins with `start`, ends when the calls are closed."""

    def __init__(self, calls: Calls) -> None:
        """Look at nobody yet.

        Args:
            calls: to the members.
        """
        self._calls = calls
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
        for number, link in enumerate(self._calls.links):
            found = self._look_at(number)
            if self._calls.closing.is_set():
                return
            member = str(link.address)
            before, self._wrong[member] = self._wrong[member], found
            if found and found != before:
                logs.event(_log, "warning", "a member of the store is out", member=member, reason=found)
            elif before and not found:
                logs.event(_log, "info", "a member of the store is back", member=member)

    def _run(self) -> None:
        due = clock.monotonic()
        while not self._calls.closing.wait(max(due - clock.monotonic(), 0.0)):
            due = clock.monotonic() + INTERVAL_S
            self._calls.sweep()
            self.look()

    def _look_at(self, number: int) -> str:
        try:
            return wrong_with(self._calls.look_at(number, LOOK_S))
        except ReplacedStoreError as error:
            return str(error)
        except grpc.RpcError as error:
            return self._calls.expired() or fault_of_call(error).text
        except ValueError:  # gRPC's way to say that the channel is closed
            return "its channel was closed"


def wrong_with(status: StatusResponse) -> str:
    """Return what a member of this cluster says is wrong with it; empty: nothing."""
    for alarm, text in _ALARMS.items():
        if any(alarm in error for error in status.errors):
            return text
    if status.is_learner:
        return "it is a learner and takes no requests: `etcdctl member promote` it"
    return "" if status.leader else "it sees no leader: fewer members than a majority can reach each other"


def check_endpoints(calls: Calls) -> None:
    """Refuse members of more than one cluster, and members that are all too old, before anything is read or written.

    Whoever does not answer is looked at before it is used.

    Raises:
        StartError: it names the addresses.
    """
    found: dict[str, StatusResponse] = {}
    for link in calls.links:
        with contextlib.suppress(grpc.RpcError):
            found[str(link.address)] = link.status(StatusRequest(), timeout=LOOK_S)
    clusters = {status.header.cluster_id: address for address, status in found.items()}
    if len(clusters) > 1:
        named = ", ".join(f"{address} to {cluster:x}" for cluster, address in clusters.items())
        raise StartError(f"[store] endpoints lead to members of different etcd clusters ({named}); correct them")
    if found and all(is_too_old(status.version) for status in found.values()):
        runs = ", ".join(f"{address} runs etcd {status.version}" for address, status in found.items())
        raise StartError(f"the store's members are too old ({runs}); upgrade them to {LEAST_VERSION_TEXT} or newer")
