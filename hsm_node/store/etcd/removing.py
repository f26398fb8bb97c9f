"""Has a node forgotten that is off for good: no change waits for it or names it any more.

Theory: docs/consistency.md, (a). That a node is off, somebody says who knows; what can be found out is that it is not.
It is asked to confirm, as by a change: one that does so is alive and serves. One that is alive without contact to the
store is off as far as anybody can tell; it finds at its next contact that its row is gone, and is fenced.

The other nodes have seen the row: they wait for its node until it is gone for as long as a contact holds.
"""

from hsm_daemon import clock
from hsm_node.core.statements import CONFIRMED, NODES, OUT
from hsm_node.store.base import Removal
from hsm_node.store.etcd.calls import Calls
from hsm_node.store.etcd.saying import Saying
from hsm_node.store.etcd.transactions import asking, found_in, removal, told_in, told_key
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
    keys = (told_key(prefix + node) for prefix in (NODES, CONFIRMED, OUT))
    deleted = calls.txn(removal(next(keys), registration.revision, *keys))
    # What is gone was deleted by this very transaction, whose first answer was lost, or by another one like it.
    return Removal.REMOVED if deleted.succeeded or found_in(deleted) is None else Removal.ALIVE
