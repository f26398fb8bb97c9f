"""Rows of what the nodes say that they can do."""

from hsm_node.core.keyring import Keyring
from hsm_node.core.offers import OFFERS_FORMAT, OffersRecord, open_offers
from hsm_node.service.node_rows import NodeRows


class OfferRows(NodeRows[OffersRecord]):
    """The kind of rows that these are."""

    def __init__(self, keyring: Keyring, cluster_id: bytes) -> None:
        super().__init__(
            "record of what a node can do",
            (OFFERS_FORMAT,),
            lambda data, name: open_offers(data, name, cluster_id, keyring),
        )
