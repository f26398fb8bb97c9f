"""How a node gets to its keys: the store is opened, compared with what this host has seen of it, and loaded."""

import contextlib
import gc

from hsm_cluster.cluster import Cluster
from hsm_node.backends.base import Backend
from hsm_node.config import NodeConfig
from hsm_node.core.keyring import Keyring
from hsm_node.core.ledger import Ledger
from hsm_node.keystore import Keystore
from hsm_node.next_master_key import hold_next
from hsm_node.state.backup_state import BackupState
from hsm_node.state.recorder import open_recorder
from hsm_node.state.state_dir import StateDir
from hsm_node.state.usage_recorder import open_usage
from hsm_node.store.base import Store
from hsm_node.store.sqlite import SqliteStore


def open_keystore(
    config: NodeConfig,
    cluster: Cluster,
    state: StateDir,
    keyring: Keyring,
    held: contextlib.ExitStack,
    backend: Backend | None = None,
) -> Keystore:
    """Return the loaded keystore; `held` closes what was opened for it.

    Raises:
        StartError: the store is another one, older, damaged or of another master key. Nothing of it was written, and
            nothing stays open; the state directory may say already which store it is.
    """
    first_start = state.seen is None
    with contextlib.ExitStack() as opened:
        hold_next(keyring, config.keystore)
        store = opened.enter_context(contextlib.closing(open_store(config, cluster, state, keyring)))
        state.check_cluster(store.cluster_id)
        if not store.fenced:  # Else it knows already, and the node comes up to say so.
            state.check_epoch(store.epoch)
            state.keep(store.cluster_id, store.epoch)
        ledger = Ledger(keyring.ledger_mac, store.cluster_id)
        recorder = opened.enter_context(
            contextlib.closing(open_recorder(config.state_dir, ledger, first_start=first_start))
        )
        keystore = Keystore(config, cluster, keyring, store, recorder, backend)
        opened.callback(keystore.close)
        keystore.backups.state = BackupState(config.state_dir)
        keystore.usage_recorder = opened.enter_context(contextlib.closing(open_usage(config.state_dir, keystore.tally)))
        keystore.master_keys.start()
        gc.freeze()  # The records stay: to look at 100,000 of them again takes 0.2 s, and the loop stands still.
        held.push(opened.pop_all())
    return keystore


def open_store(node: NodeConfig, cluster: Cluster, state: StateDir, keyring: Keyring) -> Store:
    """Return the store of the configured driver; made where there is none, unless this node has used one before.

    Between data centres only the first node of cluster.toml makes one: see `etcd.opening`.

    Raises:
        StartError: it cannot be used.
    """
    config = node.store
    if config.path is not None:
        state.check_present(config.path)
        return SqliteStore(config.path, cluster.name, keyring)
    from hsm_node.store.etcd.driver import EtcdStore  # gRPC is for nodes that use it

    is_new, first = state.seen is None, cluster.nodes[0].name
    return EtcdStore(
        config.endpoints,
        config.tls_files,
        cluster.name,
        keyring,
        node=node.name,
        make=is_new and node.name == first,
        maker=first if is_new else "",
        recovery=config.dr_endpoint,
        cold=bool(cluster.recovery_sites),
        seen_epoch=state.epoch,
        keep=state.keep,
    )
