"""Rows of what nodes say that they can do."""

import pytest

from hsm_node.core.envelopes import RecordError
from hsm_node.core.keyring import Keyring
from hsm_node.core.offers import OFFERS_FORMAT, OffersRecord, seal_offers
from hsm_node.service.offer_rows import OfferRows
from hsm_node.store.base import Row

CLUSTER = b"c" * 16


def test_what_a_node_says_is_under_its_own_name_only(keyring: Keyring) -> None:
    kind = OfferRows(keyring, CLUSTER)
    record = OffersRecord(CLUSTER, "node-1", 1, 1, ((0x1041, 3),), ("ec-p256",))
    row = Row(keyring.offers_name("node-1"), 3, seal_offers(record, keyring))
    kind.take(kind.open(row), row)
    assert (kind.held["node-1"].record, kind.formats) == (record, (OFFERS_FORMAT,))
    with pytest.raises(RecordError, match="moved"):
        kind.open(Row(keyring.offers_name("node-2"), 3, row.data))
