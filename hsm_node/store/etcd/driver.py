"""The distributed store: records in etcd, followed by a watch, changed by transactions that compare a revision.

`changed` and `rows_after` are called on the node's loop and only look at what threads have brought; `create`,
`change` and `read` speak with the members and wait, at most `CALL_S`. Each of them may be sent to several members: a
create finds itself, and a change finds its own bytes (design.md, section 6, rule 1).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Final

from hsm_cluster.address import Address
from hsm_daemon import clock
from hsm_daemon.errors import StartError
from hsm_daemon.tls import TlsFiles
from hsm_node.core.keyring import Keyring
from hsm_node.core.statements import Seal
from hsm_node.store.base import Lag, Removal, ReplacedStoreError, Row, Side, StoreError
from hsm_node.store.check_record import make_check_record
from hsm_node.store.etcd.calls import CALL_S, Calls
from hsm_node.store.etcd.connecting import Connecting
from hsm_node.store.etcd.copying import Copying
from hsm_node.store.etcd.epochs import Epochs, Keep, nowhere
from hsm_node.store.etcd.following import Following
from hsm_node.store.etcd.member_copy import MemberCopy
from hsm_node.store.etcd.messages_pb2 import TxnResponse
from hsm_node.store.etcd.opening import Checked, decoded, encoded, open_store, read_check
from hsm_node.store.etcd.preparing import preparation
from hsm_node.store.etcd.probing import Probing
from hsm_node.store.etcd.promoting import Promoting
from hsm_node.store.etcd.removing import remove_node
from hsm_node.store.etcd.returning import lag_of
from hsm_node.store.etcd.saying import Saying
from hsm_node.store.etcd.sides import find_both_sides, find_left_behind
from hsm_node.store.etcd.snapshot import EtcdSnapshot
from hsm_node.store.etcd.survey import Survey, check_endpoints
from hsm_node.store.etcd.transactions import (
    CHECK_KEY,
    MAX_COMPARES,
    asking,
    check_in,
    found_in,
    get,
    key_of,
    only,
    put,
    row_of,
    told_in,
    written,
)
from hsm_node.store.etcd.waits import Waits
from hsm_node.store.etcd.warming import Warming
from hsm_node.store.etcd.watching import Watching

CATCH_UP_S: Final = 1.0
"""For the watch to bring what a refused change has run into."""
MAX_RESEAL_TRIES: Final = 4
"""Of a check record that other nodes write as well: each of them writes it once in a rotation."""
WRITERS: Final = 16
"""Changes under way at once: one waits for a majority of sites, not for this host's disk."""


class EtcdStore:
    """Implements `Store`."""

    writers = WRITERS
    serves_stale = True

    def __init__(
        self,
        addresses: Sequence[Address],
        tls: TlsFiles | None,
        cluster: str,
        keyring: Keyring,
        *,
        node: str = "",
        make: bool = True,
        maker: str = "",
        recovery: Address | None = None,
        cold: bool = False,
        seen_epoch: int = 0,
        keep: Keep = nowhere,
    ) -> None:
        """Open the store, make it where there is none, and follow it.

        Args:
            addresses: of the members' ports for clients, the preferred first.
            tls: files for mutual TLS with the store's own CA; None: without.
            cluster: name of this node's.
            keyring: of this node.
            node: its name; empty: it serves nobody, so no change waits for it.
            make: whether an empty etcd may become a new store.
            maker: the node that makes one of it, where this one may not; empty: nobody does.
            recovery: which of the addresses is at the DR site; None: none.
            cold: whether the DR site may have been promoted while this node was away.
            seen_epoch: the highest that this host has seen of the store.
            keep: where a higher one is written down.

        Raises:
            StartError: it cannot be reached, is damaged, newer, another cluster's, or of another master key.
        """
        place = f"etcd at {', '.join(map(str, addresses))}"
        self._connecting = Connecting(addresses, tls)
        self._calls = Calls(self._connecting.links())
        self._calls.expired = self._connecting.expired
        self._copying = Copying(self._calls, recovery)
        try:
            others = check_endpoints(self._calls, keyring, recovery)
            self._check = open_store(self._calls, place, cluster, keyring, make=make, maker=maker)
        except BaseException:
            self._calls.close()
            raise
        self.cluster_id = self._check.record.cluster_id
        self.copy = MemberCopy(self._calls, self.cluster_id, recovery)
        seal = Seal(keyring.told_mac, self.cluster_id)
        self._following = Following()
        self._waits = Waits(node, seal)
        self._watching = Watching(self._calls, self._following, self._waits)
        self._saying = Saying(self._calls, self._following, self._waits, seal, node)
        self._epochs = Epochs(self._check.record, self._check.value, keyring, self._following.fence)
        self._warming = Warming(self._calls, self._epochs, self._waits, self._saying, keyring)
        self._promoting = Promoting(self._calls, self._following, self._epochs, self._warming)
        self._probing = Probing(self._calls, self._following, self._watching, self._saying, self._epochs, self._warming)
        self._survey = Survey(self._calls, self._epochs)
        self._plug()
        try:
            if cold:
                self._warming.begin(recovery)
            self._epochs.remember(seen_epoch, keep)
            self._epochs.shown(others)
            if not self.fenced:
                self._saying.register()  # Before the list: a change that is not in it waits for this node.
            self._watching.load()
        except StoreError as error:
            self.close()
            raise StartError(f"{place}: the store cannot be loaded ({error}); look at its members") from None
        except BaseException:
            self.close()
            raise
        self._watching.prepare = preparation(keyring)
        self._probing.once()
        for thread in (self._watching, self._waits, self._saying, self._probing, self._survey, self._copying):
            thread.start()

    @property
    def contact(self) -> float | None:
        return self._following.contact

    @property
    def epoch(self) -> int:
        return self._epochs.record.epoch

    @property
    def promoted(self) -> bool:
        return self._epochs.record.promoted

    @property
    def seen_epoch(self) -> int:
        return self._epochs.seen

    @property
    def revision(self) -> int:
        """Up to which everything has come from the store, other keys than rows included."""
        return self._following.revision

    @property
    def lists(self) -> int:
        """Times that everything was listed: once at the start, and whenever the engine had compacted too far."""
        return self._watching.listed

    @property
    def fenced(self) -> bool:
        return bool(self._following.fenced)

    @property
    def outlived(self) -> bool:
        return self._promoting.outlived

    @property
    def registered(self) -> list[str]:
        return self._waits.registered

    @property
    def out(self) -> list[str]:
        return self._waits.missing

    @property
    def refused_statements(self) -> int:
        return self._waits.refused

    def tell(self, arrived: Callable[[], object]) -> None:
        self._following.tell(arrived)

    def changed(self) -> bool:
        return self._following.look()

    def rows_after(self, revision: int) -> list[Row]:
        if revision > self._following.revision:
            raise ReplacedStoreError(f"its revision is {self._following.revision}, below {revision}")
        return self._following.take()

    def applied(self) -> None:
        self._following.applied()

    def catch_up(self) -> None:
        self._catch_up(self._calls.range(get(CHECK_KEY)).header.revision)

    def read(self, name: bytes) -> Row | None:
        found = only(self._calls.range(get(key_of(name))))
        return None if found is None else row_of(found)

    def snapshot(self) -> EtcdSnapshot:
        return EtcdSnapshot(self._calls)

    def create(self, name: bytes, data: bytes) -> Row:
        answer = self._put(key_of(name), data, 0)
        if answer.succeeded:
            return Row(name, answer.header.revision, data)
        found = found_in(answer)
        if found is None:
            raise StoreError("a record that is there could not be read: somebody deletes records of the store")
        return row_of(found)

    def change(self, name: bytes, revision: int, data: bytes, *, waits: bool = False) -> Row | None:
        sent = clock.boottime()
        answer = self._put(key_of(name), data, revision, asks=self._saying.wanted if waits else b"")
        row = written(answer, name, data)
        if row is None:
            self._catch_up(answer.header.revision)
        elif waits:
            self._waits.begin(row.revision, told_in(answer), sent)
        return row

    def master_key_version(self, keyring: Keyring) -> int:
        checked = self._checked()
        return keyring.mac_version(checked.record.authenticated, checked.mac)

    def reseal(self, keyring: Keyring, version: int, unchanged: Mapping[bytes, int]) -> bool:
        if len(unchanged) > MAX_COMPARES:
            raise StoreError(f"etcd compares at most {MAX_COMPARES} rows at once, not {len(unchanged)}")
        rows = {key_of(name): revision for name, revision in unchanged.items()}
        self._following.check()
        record = make_check_record(self._check.record, keyring, version)
        for _ in range(MAX_RESEAL_TRIES):
            checked = self._checked()
            used = keyring.mac_version(checked.record.authenticated, checked.mac)
            if not used:  # Nothing is put over what cannot be opened: it may be newer, or a sign of an attack.
                raise StoreError("its check record is damaged, or under a master key that this node does not hold")
            value = encoded(record, keyring) if used < version else None
            answer = self._calls.txn(put(CHECK_KEY, value, {**rows, CHECK_KEY: checked.revision}))
            if answer.succeeded:
                return True
            if self._checked().revision == checked.revision:
                self._catch_up(answer.header.revision)
                return False
        raise StoreError("its check record is written by others all the time")

    def vouch(self) -> None:
        self._warming.vouch()

    def promote(self, keyring: Keyring, gone: Collection[str], epoch: int = 0) -> None:
        self._promoting.promote(keyring, gone, epoch)

    def has_dr_member(self) -> bool:
        return self._promoting.has_dr_member()

    def demote(self, keyring: Keyring) -> None:
        self._promoting.demote(keyring)

    def lag(self) -> Lag:
        self._following.check()
        return lag_of(self._calls, self._waits, self._saying)

    def left_behind(self) -> Side | None:
        return find_left_behind(self._calls.links, self._epochs)

    def both_sides(self) -> tuple[Side, Side] | None:
        return find_both_sides(self._calls.links, self._epochs)

    def unconfirmed(self, revision: int) -> "Future[list[str]]":
        begun = self._waits.begun(revision)
        if begun is not None:
            return begun
        self._following.check()
        sent = clock.boottime()  # Made before, by whomever: it waits as the first one did.
        return self._waits.begin(revision, told_in(self._calls.txn(asking(self._saying.wanted))), sent)

    def copied(self, revision: int) -> "Future[bool]":
        return self._copying.begin(revision)

    def remove(self, node: str) -> Removal:
        self._following.check()
        return remove_node(self._calls, self._waits, self._saying, node)

    def stopped(self) -> None:
        self._saying.stopped()

    @property
    def members(self) -> Mapping[str, str]:
        return self._survey.wrong

    def renew(self, endpoints: Sequence[Address] = ()) -> None:
        self._calls.renew(self._connecting.links(endpoints or None))
        self._survey.renewed()
        self._watching.move()

    def close(self) -> None:
        self._following.close()
        self._calls.close()
        self._waits.close()
        self._copying.close()
        for thread in (self._watching, self._probing, self._saying, self._survey):
            thread.join()

    def _plug(self) -> None:
        self._calls.on_replaced = self._found_another
        self._watching.proves = not self._saying.node  # Nobody knows whether it is out when it is listed.
        self._watching.on_heard = self._following.on_applied = self._saying.wake
        self._waits.missed = self._saying.missed
        self._saying.is_warm = lambda: not self._warming.cold

    def _put(self, key: bytes, data: bytes, revision: int, *, asks: bytes = b"") -> TxnResponse:
        """Put a pair where the key is at that revision and the check record is that of this store."""
        for _ in range(MAX_RESEAL_TRIES):
            self._following.check()
            self._warming.check()
            check = self._check
            answer = self._calls.txn(put(key, data, {key: revision}, check.value, asks=asks))
            found = None if answer.succeeded else check_in(answer)
            if answer.succeeded or (found is not None and found.value == check.value):
                return answer
            if found is None:
                raise StoreError("its check record is gone, and nothing is written to it; restore it from a backup")
            # Under another master key by now; that is for others to find out. Another store is not written to.
            self._check = decoded(found)
            if self._check.record.cluster_id != self.cluster_id:
                self._check = check
                raise ReplacedStoreError("its check record is another store's; bring this one's back")
        raise StoreError("its check record is written by others all the time")

    def _found_another(self, error: ReplacedStoreError) -> None:
        self._following.wrong(error)
        self._watching.list_again()

    def _checked(self) -> Checked:
        checked = read_check(self._calls, CALL_S)
        if checked is None:
            raise StoreError("its check record is gone; restore the store from a backup")
        return checked

    def _catch_up(self, revision: int) -> None:
        """Wait until `rows_after` gives what is up to that revision.

        After a refused change, it is tried again on top of what it ran into.
        """
        if not self._following.wait_for(revision, CATCH_UP_S):
            raise StoreError(f"the store has revision {revision}, and the watch has brought {self.revision}")
