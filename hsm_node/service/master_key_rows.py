"""Rows of what the nodes say of the master keys that they hold."""

from hsm_node.core.keyring import Keyring
from hsm_node.core.master_keys import MASTER_KEYS_FORMAT, MasterKeysRecord, open_master_keys
from hsm_node.service.node_rows import NodeRows


class MasterKeyRows(NodeRows[MasterKeysRecord]):
    """The kind of rows that these are."""

    def __init__(self, keyring: Keyring, cluster_id: bytes) -> None:
        super().__init__(
            "record of master keys",
            (MASTER_KEYS_FORMAT,),
            lambda data, name: open_master_keys(data, name, cluster_id, keyring),
        )

    @property
    def said(self) -> dict[str, MasterKeysRecord]:
        """What each node says that has said something."""
        return {node: entry.record for node, entry in self.held.items()}
