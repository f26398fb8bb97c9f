"""What nodes say that they can do, and what the cluster can do then."""

import msgspec
import pytest

from hsm_node.core.envelopes import RecordError
from hsm_node.core.keyring import Keyring
from hsm_node.core.offers import (
    OFFERS_FORMAT,
    PREFIX,
    Offer,
    OffersRecord,
    common,
    lacking,
    offer_of,
    open_offers,
    resealed_offers,
    seal_offers,
)

CLUSTER = b"c" * 16
RECORD = OffersRecord(CLUSTER, "node-1", 1, 1, ((0x1041, 3), (0x1057, 1)), ("ec-p256", "ed25519"))
ALL = offer_of(RECORD)
EC = Offer({0x1041: 2}, frozenset({"ec-p256"}))
RSA = Offer({0x1041: 3, 1: 3}, frozenset({"ec-p256", "rsa-2048"}))


def test_what_a_node_says_is_opened_as_it_was_under_its_own_name_only(keyring: Keyring) -> None:
    data = seal_offers(RECORD, keyring)
    assert open_offers(data, keyring.offers_name("node-1"), CLUSTER, keyring) == RECORD
    with pytest.raises(RecordError, match="moved"):
        open_offers(data, keyring.offers_name("node-2"), CLUSTER, keyring)
    body = msgspec.msgpack.encode(["node-1"])
    row = msgspec.msgpack.encode([OFFERS_FORMAT, body, keyring.mac(PREFIX + body)])
    with pytest.raises(RecordError, match="fields"):
        open_offers(row, keyring.offers_name("node-1"), CLUSTER, keyring)


def test_sealed_once_more_it_says_the_same(keyring: Keyring) -> None:
    again = open_offers(resealed_offers(RECORD, keyring), keyring.offers_name("node-1"), CLUSTER, keyring)
    assert again == msgspec.structs.replace(RECORD, order=2)


def test_the_cluster_can_do_what_all_its_nodes_can() -> None:
    assert common([ALL], ()) == ALL
    assert common([ALL, EC], ()) == EC
    assert common([EC, RSA, ALL], {"ec-p256": 1}) == EC


def test_a_node_that_lacks_what_stored_keys_need_does_not_lower_the_others() -> None:
    assert common([ALL, EC], {"ed25519": 1}) == ALL
    assert common([EC, RSA], {"ed25519": 1}) == EC, "where all lack it, all count"


def test_a_node_says_which_stored_keys_it_cannot_use() -> None:
    assert lacking(EC, {"ec-p256": 7}) == ""
    assert lacking(EC, {"rsa-2048": 2, "ed25519": 1}) == (
        "it cannot use keys of type ed25519 (1 stored), rsa-2048 (2 stored)"
    )
