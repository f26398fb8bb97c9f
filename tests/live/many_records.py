"""Stores with many keys, made by the product's own code in one process: not one by one through the protocol."""

import contextlib
import os
import time

from cluster import NAME, Cluster
from etcd import CALL_S, EtcdCluster

from hsm_cluster.address import Address
from hsm_daemon.tls import TlsFiles
from hsm_node.backends.base import Outcome
from hsm_node.backends.software import IMPLEMENTED, SoftwareBackend
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import Origin, check_new_key, new_record
from hsm_node.core.records import seal_record
from hsm_node.store import sqlite_schema as schema
from hsm_node.store.etcd.channels import Link, credentials_of
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.messages_pb2 import PutRequest, RequestOp, TxnRequest
from hsm_node.store.etcd.transactions import key_of
from hsm_node.store.sqlite import SqliteStore
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.messages import GenerateKey

PARTITION = 1
BATCH = 100
"""Rows in one transaction: etcd takes 128 operations."""


class Records:
    """Sealed records of one key type. Each has an id and a label of its own."""

    def __init__(self, ring: Keyring, cluster_id: bytes, epoch: int, count: int, key_type: str, label: str) -> None:
        """Make them; `label` may have a `{}` for their number."""
        origin = Origin(cluster_id, PARTITION, epoch, int(time.time()))
        back_end = SoftwareBackend(ring, Outcome(IMPLEMENTED, ()))
        ids = [os.urandom(16) for _ in range(count)]
        self.ids = [key_id.hex() for key_id in ids]
        self.rows: list[tuple[bytes, bytes]] = []
        """Name and data."""
        for number, key_id in enumerate(ids):
            wanted = check_new_key(GenerateKey(key_id, key_type, label=label.format(number)), {key_type})
            record = new_record(wanted, back_end.generate(KEY_TYPES[key_type]), origin, os.urandom(32))
            self.rows.append((ring.name(*record.place), seal_record(record, ring)))


def fill_file(cluster: Cluster, count: int, key_type: str, label: str = "many") -> list[str]:
    """Put that many keys into the cluster's SQLite store; return their ids."""
    ring = _ring_of(cluster)
    with contextlib.closing(SqliteStore(cluster.store, NAME, ring)) as store:
        records = Records(ring, store.cluster_id, store.epoch, count, key_type, label)
    with contextlib.closing(schema.connect(cluster.store, schema.BUSY_TIMEOUT_MS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        [last] = connection.execute("SELECT revision FROM cluster").fetchone()
        rows = [(name, last + number, data) for number, (name, data) in enumerate(records.rows, 1)]
        connection.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
        connection.execute("UPDATE cluster SET revision = ?", (last + count,))
        connection.execute("COMMIT")
    return records.ids


def fill_etcd(cluster: Cluster, etcd: EtcdCluster, count: int, key_type: str, label: str = "many") -> list[str]:
    """Put that many keys into etcd, for nodes of that cluster; return their ids."""
    return fill_members([etcd.leader().address], etcd.tls, NAME, _ring_of(cluster), count, key_type, label)


def fill_members(
    addresses: list[Address],
    tls: TlsFiles | None,
    cluster: str,
    ring: Keyring,
    count: int,
    key_type: str,
    label: str = "many",
) -> list[str]:
    """Put that many keys into the cluster of that name, whose members of etcd are there; return their ids."""
    with contextlib.closing(EtcdStore(addresses, tls, cluster, ring)) as store:
        records = Records(ring, store.cluster_id, store.epoch, count, key_type, label)
    puts = [RequestOp(put=PutRequest(key=key_of(name), value=data)) for name, data in records.rows]
    with contextlib.closing(Link(addresses[0], credentials_of(tls))) as link:
        for first in range(0, count, BATCH):
            link.txn(TxnRequest(success=puts[first : first + BATCH]), timeout=CALL_S)
    return records.ids


def _ring_of(cluster: Cluster) -> Keyring:
    return Keyring(bytes.fromhex(cluster.master_key.read_text()))
