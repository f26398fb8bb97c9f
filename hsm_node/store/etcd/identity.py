"""Which etcd cluster this node speaks with, and how far it has seen it come.

Theory. A member that was restored from a snapshot, or that belongs to another cluster, answers like any other. Its
cluster id tells the one; the other, restored in the same place, has a revision below one that was seen before the call
was sent. Only linearizable answers count: a member's own view may lag.
"""

import threading

from hsm_node.store.base import ReplacedStoreError
from hsm_node.store.etcd.faults import older_state
from hsm_node.store.etcd.messages_pb2 import Header


class Identity:
    """What was seen of the cluster. Called by several threads."""

    def __init__(self) -> None:
        """Know nothing: the first answer says which cluster it is."""
        self._lock = threading.Lock()
        self.cluster_id = 0
        self.highest = 0
        """Revision of any answer: what is asked for from now on must not be below it."""

    def check_cluster(self, header: Header) -> None:
        """Compare an answer's cluster with the first one's.

        Raises:
            ReplacedStoreError: it is another cluster.
        """
        with self._lock:
            self.cluster_id = self.cluster_id or header.cluster_id
            if header.cluster_id == self.cluster_id:
                return
        raise ReplacedStoreError(
            f"a member belongs to etcd cluster {header.cluster_id:x}, not {self.cluster_id:x}: correct [store] "
            "endpoints; if a promotion left it behind, `hsmctl dr rejoin` on its host brings it back; after a restore "
            "start the node again"
        )

    def check(self, header: Header, floor: int) -> None:
        """Compare a linearizable answer with what was seen when it was asked for.

        Raises:
            ReplacedStoreError: another cluster, or an older state of this one.
        """
        self.check_cluster(header)
        if header.revision < floor:
            raise older_state(header.revision, floor)
        with self._lock:
            self.highest = max(self.highest, header.revision)
