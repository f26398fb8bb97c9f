"""Has a node forgotten that is off for good: no change waits for it or names it any more.

Theory: docs/consistency.md, (a). That a node is off, somebody says who knows; what can be found out is that it is not.
It is asked to confirm, as by a change: one that does so is alive and serves. One that does not may come back just then,
and its contact would count for a second more, in which a node that starts knows nothing of it. So its row `out/N` must
be there for as long as a change has to know it: no contact counts before the node has taken that away. Who is removed
finds at its next contact that its row is gone, and is fenced.

The other nodes have seen the row: they wait for its node until it is gone for as long as a contact holds.
"""

from hsm_daemon import clock
from hsm_node.core.confirmations import WAIT_S
from hsm_node.core.statements import CONFIRMED, NODES, OUT
from hsm_node.store.base import Removal, StoreError
from hsm_node.store.etcd.calls import Calls
from hsm_node.store.etcd.messages_pb2 import KeyValue
from hsm_node.store.etcd.saying import Saying
from hsm_node.store.etcd.transactions import asking, found_in, get, only, removal, told_in, told_key
from hsm_node.store.etcd.waits import Waits


def remove_node(calls: Calls, waits: Waits, saying: Saying, node: str) -> Removal:
    """Delete the rows of a node that is registered and does not confirm.

    Raises:
        StoreError: the store did not answer; whether they were deleted is open.
    """
    if node == saying.node:
        return Removal.ALIVE
    sent = clock.boottime()
    answer = calls.txn(asking(saying.wanted))
    told, asked_at = told_in(answer), answer.header.revision
    registration = next((row for row in told if row.path == NODES + node), None)
    if registration is None:
        return Removal.ABSENT
    waits.begin(asked_at, told, sent).result()  # It ends by the clock, or with the store.
    if waits.has(node, asked_at):
        return Removal.ALIVE
    unchanged = {told_key(NODES + node): registration.revision}
    if not waits.is_off(node):
        mark = _held_mark(calls, waits, saying, node, registration.revision)
        if mark is None:
            return Removal.ALIVE
        unchanged[mark.key] = mark.mod_revision
    deleted = calls.txn(removal(unchanged, told_key(CONFIRMED + node), told_key(OUT + node)))
    # What is gone was deleted by this very transaction, whose first answer was lost, or by another one like it.
    return Removal.REMOVED if deleted.succeeded or found_in(deleted) is None else Removal.ALIVE


def _held_mark(calls: Calls, waits: Waits, saying: Saying, node: str, registered_at: int) -> KeyValue | None:
    """Return the row that says that a node is out, when it has been there for `WAIT_S`; None: the node took it away."""
    saying.mark(node, registered_at)
    mark = only(calls.range(get(told_key(OUT + node))))
    if mark is not None:
        since = waits.marked_at(node, mark.mod_revision)
        if calls.closing.wait(max(since + WAIT_S - clock.boottime(), 0.0)):
            raise StoreError("this node has closed the store")
    return mark
