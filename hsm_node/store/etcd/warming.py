"""Whether this node knows that the DR site was not promoted while it was away (docs/consistency.md, b7).

Theory. A site that was lost and comes back looks sound from inside: its members form the old majority. So where there
is a DR site, a node begins cold: its contacts do not count, so it serves as stale, changes nothing, and does not say
that a key is not there. It gets warm when it has read the epoch at the DR site's member, and that is not above its own;
when a warm node of its store has confirmed its registration, or a later revision; or by an operator's word. Then it is
warm until it ends.
"""

import contextlib
from typing import Final

import grpc

from hsm_cluster.address import Address
from hsm_daemon import clock, logs
from hsm_node.core.keyring import Keyring
from hsm_node.store.base import ReplacedStoreError, StoreError, UnreachableStoreError
from hsm_node.store.etcd.calls import Calls
from hsm_node.store.etcd.channels import Link
from hsm_node.store.etcd.epochs import Epochs, authentic
from hsm_node.store.etcd.saying import Saying
from hsm_node.store.etcd.survey import LOOK_S, check_records
from hsm_node.store.etcd.waits import Waits

ASK_S: Final = 1.0
"""Between two times that other nodes are asked to confirm: each costs them a writing."""
COLD: Final = (
    "this node has been started and does not know yet whether the DR site was promoted meanwhile: let it reach the DR "
    "site's member, or a node that was up before; or `hsmctl dr vouch` on its host says that it was not"
)

_log = logs.logger("hsm_node.store")


class Warming:
    """Called by the thread that proves contact; `cold` from any."""

    def __init__(self, calls: Calls, epochs: Epochs, waits: Waits, saying: Saying, keyring: Keyring) -> None:
        """Be warm: there is no DR site."""
        self._calls = calls
        self._epochs = epochs
        self._waits = waits
        self._saying = saying
        self._keyring = keyring
        self._recovery: Address | None = None
        self._asked_at = float("-inf")
        self.cold = False
        """Whether it does not know yet."""

    def begin(self, recovery: Address | None) -> None:
        """Be cold; `recovery`: the member at the DR site, None: it may be any of them, so all are asked."""
        self._recovery = recovery
        self.cold = True

    def vouch(self) -> None:
        """Take an operator's word that the DR site was not promoted."""
        self._warm("an operator's word")

    def check(self) -> None:
        """Refuse to change anything while it is cold.

        Raises:
            UnreachableStoreError: it is.
            HaltedStoreError: it has not registered.
        """
        self._saying.check()
        if self.cold:
            raise UnreachableStoreError(COLD)

    def look(self) -> None:
        """Try to get warm.

        Raises:
            StoreError: it is cold still.
        """
        if self.cold and self._dr_site_was_not_promoted():
            self._warm("the DR site's epoch")
        if self.cold and self._waits.vouched(self._saying.registered):
            self._warm("another node's confirmation")
        if not self.cold:
            return
        if clock.monotonic() - self._asked_at >= ASK_S:
            self._asked_at = clock.monotonic()
            self._saying.ask()
        raise StoreError(COLD)

    def has_dr_member(self) -> bool:
        """Whether the member at the DR site is one of the store that is followed; so it is taken where none is named.

        Raises:
            UnreachableStoreError: it does not answer.
        """
        if self._recovery is None:
            return True
        try:
            self._calls.look_at(self._calls.link_to(self._recovery), LOOK_S)
        except ReplacedStoreError:
            return False
        except (grpc.RpcError, ValueError):
            raise UnreachableStoreError("the member at the DR site does not answer; start it") from None
        return True

    def _dr_site_was_not_promoted(self) -> bool:
        links = [link for link in self._calls.links if self._recovery in (None, link.address)]
        pairs = check_records(links)
        self._epochs.shown(pairs)  # A higher one fences this node.
        own = self._epochs.record
        found = [record for pair in pairs if (record := authentic(pair, self._keyring)) is not None]
        known = [record for record in found if record.cluster_id == own.cluster_id and record.epoch <= own.epoch]
        # Of one epoch, but a store of its own: the DR site may be at it just now.
        return len(known) == len(links) and all(map(self._is_of_this_store, links))

    def _is_of_this_store(self, link: Link) -> bool:
        with contextlib.suppress(grpc.RpcError, ReplacedStoreError, ValueError):
            self._calls.look_at(link, LOOK_S)
            return True
        return False

    def _warm(self, by: str) -> None:
        if self.cold:
            self.cold = False
            logs.event(_log, "info", "the DR site was not promoted: this node serves as current", by=by)
