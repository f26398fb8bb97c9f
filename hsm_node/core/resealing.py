"""Any row of the store under the master key in use: what a rotation of the master key does with each of them.

Whoever adds a format of rows adds it here; a test compares this table with the kinds of rows that a node follows.
"""

from collections.abc import Callable
from typing import Final

from hsm_node.core.envelopes import Reason, RecordError, authenticated, format_of, open_envelope
from hsm_node.core.keyring import Keyring
from hsm_node.core.master_keys import MASTER_KEYS_FORMAT, open_master_keys, resealed_master_keys
from hsm_node.core.master_keys import PREFIX as MASTER_KEYS_PREFIX
from hsm_node.core.node_states import NODE_STATE_FORMAT, open_node_state, resealed_node_state
from hsm_node.core.node_states import PREFIX as NODE_STATE_PREFIX
from hsm_node.core.object_records import OBJECT_FORMAT, open_object, resealed_object
from hsm_node.core.object_records import PREFIX as OBJECT_PREFIX
from hsm_node.core.offers import OFFERS_FORMAT, open_offers, resealed_offers
from hsm_node.core.offers import PREFIX as OFFERS_PREFIX
from hsm_node.core.records import CLEAR_FORMAT, RECORD_FORMAT, open_record, resealed_record
from hsm_node.core.records import PREFIXES as RECORD_PREFIXES

Reseal = Callable[[bytes, bytes, bytes, Keyring], bytes]
"""(data, name, cluster id, keyring) -> the data under the master key in use; raises RecordError."""


def _record(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> bytes:
    return resealed_record(open_record(data, name, cluster_id, keyring), keyring)


def _node_state(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> bytes:
    return resealed_node_state(open_node_state(data, name, cluster_id, keyring), keyring)


def _object(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> bytes:
    return resealed_object(open_object(data, name, cluster_id, keyring), keyring)


def _master_keys(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> bytes:
    return resealed_master_keys(open_master_keys(data, name, cluster_id, keyring), keyring)


def _offers(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> bytes:
    return resealed_offers(open_offers(data, name, cluster_id, keyring), keyring)


_PREFIXES: Final = {
    **RECORD_PREFIXES,
    NODE_STATE_FORMAT: NODE_STATE_PREFIX,
    OBJECT_FORMAT: OBJECT_PREFIX,
    MASTER_KEYS_FORMAT: MASTER_KEYS_PREFIX,
    OFFERS_FORMAT: OFFERS_PREFIX,
}
_RESEAL: Final[dict[int, Reseal]] = {
    CLEAR_FORMAT: _record,
    RECORD_FORMAT: _record,
    NODE_STATE_FORMAT: _node_state,
    OBJECT_FORMAT: _object,
    MASTER_KEYS_FORMAT: _master_keys,
    OFFERS_FORMAT: _offers,
}
FORMATS: Final = frozenset(_RESEAL)
"""Of the rows that a rotation knows."""


def message_of(data: bytes) -> bytes:
    """Return what a row's MAC goes over; nothing for what is no row."""
    return authenticated(_PREFIXES, data)


def sealed_version(data: bytes, keyring: Keyring) -> int:
    """Return the version of the master key that a row is sealed under.

    Raises:
        RecordError: it is not authentic.
    """
    return open_envelope(_PREFIXES, data, keyring).version


def resealed(data: bytes, name: bytes, cluster_id: bytes, keyring: Keyring) -> bytes:
    """Return a row's data, written once more under the master key in use.

    Raises:
        RecordError: it is not authentic.
    """
    reseal = _RESEAL.get(format_of(data))
    if reseal is None:
        raise RecordError(Reason.FORMAT, "its format is unknown to this version")
    return reseal(data, name, cluster_id, keyring)
