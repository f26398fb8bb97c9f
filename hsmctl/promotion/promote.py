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
from hsmctl.failures import UNREACHABLE, CommandError
from hsmctl.local_node import local_node
from hsmctl.promotion.host import Host
from hsmctl.promotion.own_store import Made, made_before, make_own_store, settle
from hsmctl.promotion.silent_node import SilentNode, has_majority, read_silent_node

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
        self._silent: SilentNode | None = None

    def look(self) -> str:
        """Return the cluster's name, unless its DR site cannot be promoted.

        Raises:
            CommandError, HsmError: it cannot; the line says why.
        """
        try:
            return self._look_at_node()
        except CommandError as error:
            if error.exit_code != UNREACHABLE or self._host.store is None:
                raise
            if not self._force:
                raise CommandError(
                    f"{self._node}: no node answers there; start it; if it does not start because the productive sites "
                    "are lost, and they stay off, `hsmctl dr promote --force` goes on without it",
                    UNREACHABLE,
                ) from None
        self._silent = read_silent_node(self._host)
        self._epoch = self._silent.epoch
        return self._silent.cluster

    def run(self, cluster: str) -> Promoted:
        """Promote the DR site of the cluster of that name, after `look`.

        Raises:
            CommandError, HsmError: that failed; the line says what to do.
        """
        begun = time.monotonic()
        with _alone(self._node.parent):
            if self._force:
                settle(self._host)
            made = self._begun_before()
            epoch, kept = self._go_on(cluster, made) if made is not None else self._promote(cluster)
            self._doubt.unlink(missing_ok=True)
        seconds = round(time.monotonic() - begun, 1)
        return Promoted(cluster, epoch, kept is not None, "" if kept is None else str(kept), seconds)

    def _look_at_node(self) -> str:
        with local_node(self._node) as node:
            cluster = node.request(Opcode.INFO, Empty(), InfoResult).cluster
            seen = node.request(Opcode.DR_PROMOTE, DrPromote(cluster, self._force, look=True), DrPromotion)
        self._epoch, self._promoted = seen.epoch, seen.promoted
        return cluster

    def _begun_before(self) -> Made | None:
        """Return the store that an earlier run has made, if its promotion is still to come."""
        made = made_before(self._host) if self._force else None
        return made if made is not None and made.epoch > self._epoch else None

    def _go_on(self, cluster: str, made: Made) -> tuple[int, Path]:
        """Do what is left to do once there is a store of its own."""
        self._note("an earlier run has made the member of this site a store of its own: what was left is done now")
        self._host.start_member()
        if self._silent is None:  # It may follow the new store already, and a restart would seal it again.
            try:
                return self._ask(cluster, made.epoch + self._doubt.exists()), made.kept
            except HsmError as error:
                if error.status not in (*_NOW, Status.BAD_REQUEST):  # It refuses while it follows the old store.
                    raise
        self._host.restart_nodes()
        # Whom it followed until now may have taken what it was asked for just now.
        return self._ask_until_ready(cluster, made.epoch + self._doubt.exists()), made.kept

    def _promote(self, cluster: str) -> tuple[int, Path | None]:
        if self._silent is not None and not self._wake(self._silent):
            return self._by_own_store(cluster, self._epoch + 1 + self._doubt.exists())
        try:
            return self._ask_majority(cluster), None
        except HsmError as error:
            if error.status not in _NOW:
                raise self._with_story(error) from None
        # The lost majority may have the next epoch, or the one that it was asked for: a store of its own must have
        # neither (d1 in docs/consistency.md).
        return self._by_own_store(cluster, self._seen_now(cluster) + 1 + self._doubt.exists())

    def _wake(self, silent: SilentNode) -> bool:
        """Start nodes that do not run; False: their store has no majority, without which they do not start."""
        store = self._host.store
        assert store is not None  # `look` has seen it.
        self._note("no node answers here; the members of the store are asked")
        if not has_majority(self._host, store, silent.endpoints):
            return False
        self._host.start_nodes()
        self._look_at_node()
        return True

    def _by_own_store(self, cluster: str, epoch: int) -> tuple[int, Path]:
        kept = self._leave_the_lost(cluster, epoch)
        return self._ask_until_ready(cluster, epoch), kept

    def _with_story(self, error: HsmError) -> Exception:
        """Add what an earlier run has done: the way back depends on it."""
        made = made_before(self._host) if self._promoted else None
        if made is None or made.epoch != self._epoch:
            return error
        return CommandError(
            f"{error}. Its member became a store of its own then; what it was before is kept in {made.kept}. Keep the "
            "productive sites off until docs/disaster-recovery.md brings them back"
        )

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

    def _ask_majority(self, cluster: str) -> int:
        """Ask as long as an election may take: what a store of its own lacks is given up for good."""
        deadline = time.monotonic() + ELECTION_S
        asked_before = False
        while True:
            try:
                return self._ask(cluster, 0)
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
