"""Rows of what the operator wants of a node. A node that has none is ready; a forged row brings no node back."""

from hsm_node.core.keyring import Keyring
from hsm_node.core.node_states import NODE_STATE_FORMAT, NodeStateRecord, open_node_state
from hsm_node.service.node_rows import NodeRows


class NodeStateRows(NodeRows[NodeStateRecord]):
    """The kind of rows that these are."""

    def __init__(self, keyring: Keyring, cluster_id: bytes) -> None:
        super().__init__(
            "node state",
            (NODE_STATE_FORMAT,),
            lambda data, name: open_node_state(data, name, cluster_id, keyring),
        )
