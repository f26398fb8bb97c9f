"""What each node of the cluster can do, as a record of the store, and what the cluster can do: what all of them can.

A node finds out at its start what it can do, by proofs. Nodes do not talk to each other, but all of them follow the
store, so each says there what it has proved, unless that is all that this version has. What is said is sealed like a
key's record, under a format number of its own. It is no secret, and not encrypted.

A node that cannot use a type of stored keys is told apart: it serves only while no other node can, and what the cluster
offers does not shrink to what it has. Where every node lacks such a type, each of them counts.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from hsm_node.core.envelopes import MALFORMED, Reason, RecordError, check_place, open_envelope, seal_envelope
from hsm_node.core.keyring import Keyring

OFFERS_FORMAT: Final = 6
PREFIX: Final = b"redoubt offers\x01"


class OffersRecord(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """What one node says."""

    cluster_id: bytes
    node: str
    order: int
    """Counts writings, from 1."""
    epoch: int
    mechanisms: tuple[tuple[int, int], ...]
    """Number and usages of each mechanism that was proved, by number."""
    key_types: tuple[str, ...]
    """Types of keys that it makes and uses, sorted."""


class Offer(NamedTuple):
    """What a node can do, or all of them."""

    mechanisms: Mapping[int, int]
    """Number -> usages."""
    key_types: frozenset[str]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(OffersRecord)


def seal_offers(record: OffersRecord, keyring: Keyring) -> bytes:
    """Return the bytes to store."""
    return seal_envelope(OFFERS_FORMAT, PREFIX, _encoder.encode(record), keyring)


def resealed_offers(record: OffersRecord, keyring: Keyring) -> bytes:
    """Return the bytes of the same record, written once more under the master key in use."""
    return seal_offers(msgspec.structs.replace(record, order=record.order + 1), keyring)


def open_offers(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> OffersRecord:
    """Return the record that the store has under `name`.

    Raises:
        RecordError: it was changed, moved, or belongs to another cluster.
    """
    body = open_envelope({OFFERS_FORMAT: PREFIX}, data, keyring).body
    try:
        record = _decoder.decode(body)
    except MALFORMED:
        raise RecordError(Reason.MALFORMED, "its fields are not those of what a node says that it can do") from None
    check_place(record.cluster_id, cluster_id, keyring.offers_name(record.node), name)
    return record


def offer_of(record: OffersRecord) -> Offer:
    """Return what a node says that it can do."""
    return Offer(dict(record.mechanisms), frozenset(record.key_types))


def common(offers: Collection[Offer], needed: Iterable[str]) -> Offer:
    """Return what the cluster can do.

    Args:
        offers: of its nodes; one at least.
        needed: types of stored keys. A node that lacks one of them does not count, unless all do.
    """
    types = frozenset(needed)
    first, *others = [offer for offer in offers if types <= offer.key_types] or offers
    mechanisms, key_types = dict(first.mechanisms), first.key_types
    for offer in others:
        both = {number: usages & offer.mechanisms.get(number, 0) for number, usages in mechanisms.items()}
        mechanisms = {number: usages for number, usages in both.items() if usages}
        key_types &= offer.key_types
    return Offer(mechanisms, key_types)


def lacking(offer: Offer, needed: Mapping[str, int]) -> str:
    """Return which stored keys a node cannot use, in words; empty: there are none.

    Args:
        offer: of the node.
        needed: type -> how many such keys are stored.
    """
    missing = [f"{name} ({needed[name]} stored)" for name in sorted(needed) if name not in offer.key_types]
    return f"it cannot use keys of type {', '.join(missing)}" if missing else ""
