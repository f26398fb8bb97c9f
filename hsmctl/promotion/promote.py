"""The steps of a promotion: by the store's majority, or where that is gone by the member that is left."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from hsm_client.errors import HsmError
from hsm_wire.administration import DrPromote, DrPromotion
from hsm_wire.messages import Empty, InfoResult
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsmctl.failures import CommandError
from hsmctl.local_node import local_node
from hsmctl.promotion.host import Host
from hsmctl.promotion.own_store import make_own_store, unfinished

READY_S: Final = 60.0
"""For nodes that were started again to have the store: 100,000 keys take seconds."""
ELECTION_S: Final = 3.0
"""For the store's majority to answer again: an election takes two to three seconds, and looks as if it were lost."""
POLL_S: Final = 0.1
DOUBT: Final = "promotion-in-doubt"
"""File in the node's state_dir while nobody knows whether a transaction was made that promotes."""
_NOW: Final = (Status.STORE_UNAVAILABLE, Status.NOT_CURRENT)
"""What a node says while it has no contact with the store's majority."""
Note = Callable[[str], None]


class Promoted(msgspec.Struct, frozen=True):
    """What was done."""

    cluster: str
    epoch: int
    own_store: bool
    """The DR site's member was made a store of its own."""
    kept: str
    """Where its old data are; empty where they were left in place."""
    seconds: float


class Promotion:
    """One run of the command on a host of the DR site."""

    def __init__(self, host: Host, note: Note, *, force: bool) -> None:
        self._host = host
        self._note = note
        self._force = force
        self._epoch = 0
        self._promoted = False

    def look(self) -> str:
        """Return the cluster's name, unless its DR site cannot be promoted.

        Raises:
            CommandError, HsmError: it cannot; the line says why.
        """
        with local_node(self._node) as node:
            cluster = node.request(Opcode.INFO, Empty(), InfoResult).cluster
            seen = node.request(Opcode.DR_PROMOTE, DrPromote(cluster, self._force, look=True), DrPromotion)
        self._epoch, self._promoted = seen.epoch, seen.promoted
        return cluster

    def run(self, cluster: str) -> Promoted:
        """Promote the DR site of the cluster of that name, after `look`.

        Raises:
            CommandError, HsmError: that failed; the line says what to do.
        """
        begun = time.monotonic()
        kept: Path | None = None
        with _alone(self._node.parent):
            wanted = unfinished(self._host, self._epoch) if self._force else 0
            try:
                epoch = self._ask_majority(cluster, wanted)
            except HsmError as error:
                if error.status not in _NOW:
                    raise
                # The lost majority may have the next epoch, or the one that it was asked for: a store of its own must
                # have neither (d1 in docs/consistency.md).
                wanted = max(self._seen_now(cluster) + 1 + self._doubt.exists(), wanted + 1 if wanted else 0)
                kept = self._leave_the_lost(cluster, wanted)
                epoch = self._ask_until_ready(cluster, wanted)
            self._doubt.unlink(missing_ok=True)
        seconds = round(time.monotonic() - begun, 1)
        return Promoted(cluster, epoch, kept is not None, "" if kept is None else str(kept), seconds)

    @property
    def _node(self) -> Path:
        return self._host.sockets[0]

    @property
    def _doubt(self) -> Path:
        return self._node.parent / DOUBT

    def _ask(self, cluster: str, epoch: int) -> int:
        asked, was_in_doubt = DrPromote(cluster, self._force, epoch=epoch), self._doubt.exists()
        with local_node(self._node) as node:
            self._doubt.touch()
            try:
                return node.request(Opcode.DR_PROMOTE, asked, DrPromotion).epoch
            except HsmError as error:
                if not was_in_doubt and (error.not_executed or error.status not in _NOW):
                    self._doubt.unlink(missing_ok=True)
                raise

    def _ask_majority(self, cluster: str, epoch: int) -> int:
        """Ask as long as an election may take: what a store of its own lacks is given up for good."""
        deadline = time.monotonic() + ELECTION_S
        asked_before = False
        while True:
            try:
                return self._ask(cluster, epoch)
            except HsmError as error:
                if error.status not in _NOW:
                    made = self._made_already(cluster) if asked_before else 0
                    if not made:
                        raise
                    return made
                if time.monotonic() >= deadline:
                    raise
            asked_before = True
            time.sleep(POLL_S)

    def _made_already(self, cluster: str) -> int:
        """Return the epoch of the promotion whose answer was lost; 0: there was none since `look`."""
        with local_node(self._node) as node:
            seen = node.request(Opcode.DR_PROMOTE, DrPromote(cluster, force=True, look=True), DrPromotion)
        return seen.epoch if seen.promoted and not self._promoted else 0

    def _seen_now(self, cluster: str) -> int:
        """Return the highest epoch that the node has seen by now."""
        with local_node(self._node) as node:
            seen = node.request(Opcode.DR_PROMOTE, DrPromote(cluster, force=True, look=True), DrPromotion)
        return max(self._epoch, seen.epoch)

    def _leave_the_lost(self, cluster: str, epoch: int) -> Path:
        store = self._host.store
        if not self._force or store is None:
            raise CommandError(
                "the store has no majority: it was lost with the productive sites; if they are off, and stay off, "
                "`hsmctl dr promote --force` goes on with this site's copy alone"
            )
        self._note("the store has no majority: the member of this site becomes a store of its own")
        kept = make_own_store(self._host, store, cluster, epoch)
        self._note("nodes of this site open it")
        self._host.restart_nodes()
        return kept

    def _ask_until_ready(self, cluster: str, epoch: int) -> int:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                return self._ask(cluster, epoch)
            except HsmError as error:
                if error.status not in _NOW or time.monotonic() > deadline:
                    raise
            time.sleep(POLL_S)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the node's state directory: a second run would put the store back to what it was before the first one."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CommandError("another promotion is under way on this host; wait for its end") from None
    finally:
        os.close(held)
