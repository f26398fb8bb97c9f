"""The store's check record: whose store it is, under which master key, and the keys that belong to the store.

It is authenticated under the master key, so a node with another one stops before it has written anything. It holds
the naming key and the digest key of the store, wrapped: they do not depend on the master key, or its rotation would
give every row another name. Stores of schema 1 derived both from the master key; they keep those very keys, wrapped,
when they become schema 2.
"""

from typing import Annotated, Final

import msgspec

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import MASTER_KEY_VERSION, Keyring, KeyringError

FIRST_EPOCH: Final = 1
CLUSTER_ID_BYTES: Final = 16
WRAPPED_KEY_BYTES: Final = 40
"""RFC 5649 of 32 bytes."""
_Counter = Annotated[int, msgspec.Meta(ge=0)]
_WrappedKey = Annotated[bytes, msgspec.Meta(min_length=WRAPPED_KEY_BYTES, max_length=WRAPPED_KEY_BYTES)]


class ClusterRow(msgspec.Struct, frozen=True):
    """What is said of a store of schema 1."""

    cluster_id: Annotated[bytes, msgspec.Meta(min_length=CLUSTER_ID_BYTES, max_length=CLUSTER_ID_BYTES)]
    name: str
    epoch: _Counter

    @property
    def authenticated(self) -> bytes:
        """The bytes that its MAC covers."""
        return b"redoubt store\x01" + self.cluster_id + self.epoch.to_bytes(8, "big") + self.name.encode()


class CheckRecord(ClusterRow, frozen=True, omit_defaults=True):
    """What is said of a store since schema 2."""

    master_key_version: _Counter
    naming_key: _WrappedKey
    digest_key: _WrappedKey
    promoted: bool = False
    """Whether the nodes of the DR site serve."""

    @property
    def authenticated(self) -> bytes:
        """The bytes that its MAC covers: all but the name have one length."""
        numbers = self.epoch.to_bytes(8, "big") + self.master_key_version.to_bytes(8, "big")
        form = b"\x03" if self.promoted else b"\x02"  # What was written before there were promotions stays as it is.
        head = b"redoubt store" + form + self.cluster_id + numbers
        return head + self.naming_key + self.digest_key + self.name.encode()


def make_check_record(row: ClusterRow, keyring: Keyring, version: int | None = None) -> CheckRecord:
    """Return the check record of that store with the store's keys that the ring has.

    Args:
        row: whose store it is.
        keyring: of this node.
        version: of the master key that it is to be under; None: the one in use.
    """
    version = keyring.version if version is None else version
    naming, digest = keyring.wrapped_store_keys(version)
    promoted = isinstance(row, CheckRecord) and row.promoted
    return CheckRecord(row.cluster_id, row.name, row.epoch, version, naming, digest, promoted)


def open_check_record(record: CheckRecord, mac: object, keyring: Keyring) -> bool:
    """Have the keyring use the store's keys, the store's count of master keys and the master key that the store is
    under; False where it is another's.

    Raises:
        KeyringError: its versions cannot be what the store says; it was authentic.
    """
    version = keyring.mac_version(record.authenticated, mac) if isinstance(mac, bytes) else 0
    if not version:
        return False
    keyring.renumber(version, record.master_key_version)
    keyring.open_store(record.naming_key, record.digest_key, record.master_key_version)
    keyring.use(record.master_key_version)
    return True


def check_cluster(place: str, row: ClusterRow, cluster: str, setting: str) -> None:
    """Refuse another cluster's store.

    Raises:
        StartError: it is; `place` says where it was found, `setting` where that is configured.
    """
    if row.name != cluster:
        raise StartError(f"{place}: the store belongs to cluster {row.name!r}, not {cluster!r}; correct {setting}")


def accept(place: str, record: CheckRecord, mac: object, keyring: Keyring) -> None:
    """Have the keyring use what an authentic check record says.

    Raises:
        StartError: the master key is not the store's.
    """
    try:
        authentic = open_check_record(record, mac, keyring)
    except KeyringError as error:
        raise StartError(f"{place}: {error}; correct [keystore] master_key") from None
    if authentic:
        return
    raise _newer_master_key(place, record) if record.master_key_version > MASTER_KEY_VERSION else other_key(place)


def other_key(place: str) -> StartError:
    """Return the line about a store of another master key."""
    return StartError(
        f"{place}: the master key is not the one that this store was made with; correct [keystore] master_key"
    )


def _newer_master_key(place: str, record: CheckRecord) -> StartError:
    """What the record says is not authentic here: it only makes the line clearer."""
    return StartError(
        f"{place}: the store is under a newer master key, version {record.master_key_version}, than this one (or under "
        "another store's); set [keystore] master_key to the one that it was rotated to"
    )
