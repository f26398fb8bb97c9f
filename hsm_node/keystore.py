"""Puts store, back end, pools and handlers together: everything of a node but its sockets."""

import asyncio
import random
from typing import Final

from hsm_cluster.cluster import Cluster
from hsm_daemon import clock
from hsm_node.backends.base import Backend
from hsm_node.backends.key_prover import KeyProver
from hsm_node.backends.self_test import prove
from hsm_node.backends.software import SoftwareBackend
from hsm_node.config import NodeConfig
from hsm_node.core.change_rate import ChangeRate
from hsm_node.core.key_shares import KeyShares
from hsm_node.core.key_table import KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.object_table import ObjectTable
from hsm_node.core.records import Record
from hsm_node.core.rotation import Turn
from hsm_node.core.window import Window
from hsm_node.service.administration import Administration
from hsm_node.service.backups import Backups
from hsm_node.service.checks import Checks
from hsm_node.service.confirmations import Confirmations
from hsm_node.service.copy_lag import CopyLag
from hsm_node.service.destructions import Destructions
from hsm_node.service.drill_run import DrillParts
from hsm_node.service.drills import Drills
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.general import General
from hsm_node.service.key_makers import KeyMakers
from hsm_node.service.key_records import KeyRecords
from hsm_node.service.key_rewriter import KeyRewriter
from hsm_node.service.key_uses import KeyUses
from hsm_node.service.key_writer import KeyWriter
from hsm_node.service.master_key_rows import MasterKeyRows
from hsm_node.service.master_keys import MasterKeys
from hsm_node.service.node_state_rows import NodeStateRows
from hsm_node.service.object_operations import ObjectOperations
from hsm_node.service.offer_rows import OfferRows
from hsm_node.service.offers import Offers
from hsm_node.service.promotion import Promotion
from hsm_node.service.record_rows import RecordRows, key_rows, object_rows
from hsm_node.service.recovery import Recovery, Role
from hsm_node.service.request import STORE
from hsm_node.service.rewrapping import Rewrapping
from hsm_node.service.row_kinds import RowKinds
from hsm_node.service.row_writer import RowWriter
from hsm_node.service.second_looks import SecondLooks
from hsm_node.service.service import Service
from hsm_node.service.tally import Tally
from hsm_node.service.turns import Turns
from hsm_node.service.use_meter import UseMeter
from hsm_node.state.drill_file import DrillFile
from hsm_node.state.recorder import Recorder
from hsm_node.state.usage_recorder import UsageRecorder
from hsm_node.store.base import Store
from hsm_node.work.pool import Pool

GENERATION_THREADS: Final = 1
"""RSA generation takes a whole core for seconds; one leaves the others to signatures."""
GENERATION_NICE: Final = 19
"""Steps by which generations yield to signatures where cores are short."""
DRILL_THREADS: Final = 1
"""A drill is in no hurry, and a second thread would take a core from what is."""
WAITING_DRILL_STEPS: Final = 16
"""A drill of its own, one on command and the look at the lag: each waits for one step at a time."""


class Keystore:
    """The parts, and how they are stopped. Made on the running loop."""

    def __init__(
        self,
        config: NodeConfig,
        cluster: Cluster,
        keyring: Keyring,
        store: Store,
        recorder: Recorder | None = None,
        backend: Backend | None = None,
    ) -> None:
        """Load every key.

        Args:
            config: of the node.
            cluster: it belongs to.
            keyring: that opens the store's records.
            store: where they are.
            recorder: keeps what was seen of the store beyond this process; None: nobody does.
            backend: what computes; None: this process.
        """
        self.store = store
        self.keyring = keyring
        self.recorder = recorder
        self.usage_recorder: UsageRecorder | None = None
        """Keeps what was used beyond this process."""
        self.nodes: list[str] = []
        """Names of the cluster's nodes."""
        self.partitions: frozenset[int] = frozenset()
        """Ids of the cluster's partitions."""
        self.partition_names: dict[int, str] = {}
        self.durable_dr = False
        """Whether OK waits for the DR site where a request does not say."""
        self._name = config.name
        self.role = Role(cluster.name, cluster.package.name, "", config.name, ())
        self.table = KeyTable()
        self.shares = KeyShares(self.table)
        self.change_rate = ChangeRate(config.limits.partition_changes_per_s, config.limits.partition_changes_burst)
        self.objects = ObjectTable()
        limits = config.limits
        self.window = Window(config.sessions, limits)
        self.failures = Failures()
        self.tally = Tally(config.name, lambda: self.table.counts, self.failures)
        self.sessions = Pool("session", config.sessions, limits.waiting_sessions, self.window.served)
        self.generation = Pool("generation", GENERATION_THREADS, limits.waiting_generations, nice=GENERATION_NICE)
        self.writer = Pool(STORE, store.writers, limits.waiting_changes)
        backend = SoftwareBackend(keyring) if backend is None else backend
        ledger = None if recorder is None else recorder.ledger
        keys = key_rows(self.table, keyring, store.cluster_id, backend)
        self.node_states = NodeStateRows(keyring, store.cluster_id)
        objects = object_rows(self.objects, keyring, store.cluster_id)
        said = MasterKeyRows(keyring, store.cluster_id)
        can = OfferRows(keyring, store.cluster_id)
        self.follower = Follower(store, keyring, keys, self.node_states, objects, said, can, ledger=ledger)
        rows = self.table, can, self.follower, keyring, store, self.writer
        self.offers = Offers(config.name, lambda: self.nodes, backend, *rows)
        self.checks = Checks(backend, self.sessions, self.failures)
        recovery = "" if config.store.dr_endpoint is None else cluster.recovery_sites[0]
        self.confirmations = Confirmations(store, self.writer, recovery, durable_dr=lambda: self.durable_dr)
        self.promotion = Promotion(config.name, self.follower, keyring, store, self.writer, self.failures)
        self.configure(cluster)
        self.administration = self._administration(cluster.name)
        turns = Turns()
        ways = keyring, store, self.writer
        writer = KeyWriter(self.follower, keys, *ways, self.confirmations, self.change_rate, turns, self.shares)
        self.rewriter = KeyRewriter(self.follower, *ways, turns, self.failures, self.change_rate)
        self.meter = UseMeter(self.table, keyring, self.rewriter, self.sessions, limits)
        self.destructions = Destructions(self.table, self.follower, keyring, store, self.writer, self.confirmations)
        self.backups = self._backups(cluster.name, keys, objects, backend)
        self.promotion.unjoined = self.backups.unjoined
        turn = Turn(self.nodes.index(config.name))
        self.rewrapping = Rewrapping(self.follower, keyring, store, self.writer, turn, limits.rewraps_per_s)
        self.master_keys = self._master_keys(config.name, said)
        legacy_tests = cluster.package.name == "sandbox"
        self.prober = Pool("drill", DRILL_THREADS, WAITING_DRILL_STEPS, nice=GENERATION_NICE)
        self.drills = self._drills(config, backend, RowKinds(keys, self.node_states, objects, said, can))
        self.recovery = self._recovery()
        self.service = Service(
            self.follower,
            General(cluster.name, config.name, backend, self.offers, self.sessions, self.failures),
            KeyUses(self.follower, backend, self.sessions, self.meter, self.failures),
            self._key_records(backend, writer, legacy_tests=legacy_tests),
            self._key_makers(backend, writer, legacy_tests=legacy_tests),
            self._object_operations(objects, limits.object_bytes),
            self.checks,
            self.administration,
            self.master_keys,
            self.backups,
            self.recovery,
            self.tally,
            self.failures,
            promotion=self.promotion,
            check_durability=self.confirmations.check_durability,
        )
        self.second_looks = SecondLooks(store, self.follower, self.writer, self.failures)
        self.second_looks.serve = self.service.serve
        self.failures.second_look = self.second_looks.refusal
        self.follower.follow()
        self.table.settle()
        self.objects.settle()
        loop = asyncio.get_running_loop()
        store.tell(lambda: loop.call_soon_threadsafe(self.follower.follow))

    def sweep(self) -> None:
        """Answer what waited too long, destroy what is due, write down what was seen."""
        for pool in self._pools:
            pool.sweep()
        self.drills.sweep()
        self.destructions.sweep()
        self.master_keys.sweep()
        self.offers.sweep()
        self.meter.sweep()
        self.backups.sweep()
        if self.recorder is not None:
            self.recorder.sweep(clock.monotonic())
        if self.usage_recorder is not None:
            self.usage_recorder.sweep(clock.monotonic())

    def configure(self, cluster: Cluster) -> None:
        """Take up what a reload changed in the cluster."""
        self.nodes = [node.name for node in cluster.nodes]
        dr_sites = tuple(cluster.recovery_sites)
        self.role = Role(cluster.name, cluster.package.name, cluster.node(self._name).site, self._name, dr_sites)
        self.durable_dr = cluster.durability == "dr"
        self.promotion.configure(cluster)
        self.partition_names = {partition.id: partition.name for partition in cluster.partitions}
        self.partitions = frozenset(self.partition_names)
        stored = {partition.id: cluster.quota_of(partition).stored_keys for partition in cluster.partitions}
        self.tally.believe(self.nodes, self.partitions, cluster.usage_since_s)
        self.shares.limits = {partition: limit for partition, limit in stored.items() if limit is not None}

    @property
    def expired(self) -> int:
        """Requests whose time ran out in a queue."""
        return self.sessions.expired + self.generation.expired + self.writer.expired

    def close(self) -> None:
        """End the threads. The store and the recorder are closed by who opened them."""
        for pool in self._pools:
            pool.close()
        self.backups.close()

    @property
    def _pools(self) -> tuple[Pool, ...]:
        return self.sessions, self.generation, self.writer, self.prober

    # Parts of many parts

    def _drills(self, config: NodeConfig, backend: Backend, kinds: RowKinds) -> Drills:
        parts = DrillParts(
            self.follower,
            self.table,
            kinds,
            KeyProver(backend),
            lambda: prove(backend, backend.offered, apart=True).failures,
            self.store.copy,
            self.keyring,
            self.prober,
            CopyLag(self.store.copy, self.prober),
        )
        shuffle = random.Random().shuffle  # which keys a drill uses is no secret
        return Drills(parts, config.recovery, DrillFile(config.state_dir), lambda: self.promotion.standby, shuffle)

    def _recovery(self) -> Recovery:
        return Recovery(lambda: self.role, self.promotion, self.store, self.drills, self.table, self.failures)

    def _administration(self, cluster: str) -> Administration:
        rows = self.follower, self.node_states, self.keyring, self.store, self.writer
        return Administration(cluster, lambda: self.nodes, *rows, self.confirmations, self.failures)

    def _backups(
        self, cluster: str, keys: RecordRows[Record], objects: RecordRows[ObjectRecord], backend: Backend
    ) -> Backups:
        return Backups(
            cluster,
            self._name,
            keys,
            objects,
            backend,
            self.keyring,
            self.store,
            self.follower,
            self.confirmations,
            self.failures,
            lambda: self.partitions,
            writer=self.writer,
        )

    def _master_keys(self, node: str, said: MasterKeyRows) -> MasterKeys:
        rows = self.follower, said, self.keyring, self.store, self.writer
        return MasterKeys(node, lambda: self.nodes, *rows, self.rewrapping, self.failures)

    def _key_records(self, backend: Backend, writer: KeyWriter, *, legacy_tests: bool) -> KeyRecords:
        return KeyRecords(
            self.table,
            self.follower,
            backend,
            self.offers,
            writer,
            generation=self.generation,
            sessions=self.sessions,
            failures=self.failures,
            legacy_tests=legacy_tests,
        )

    def _key_makers(self, backend: Backend, writer: KeyWriter, *, legacy_tests: bool) -> KeyMakers:
        return KeyMakers(
            self.follower,
            backend,
            self.offers,
            writer,
            sessions=self.sessions,
            meter=self.meter,
            failures=self.failures,
            legacy_tests=legacy_tests,
        )

    def _object_operations(self, rows: RecordRows[ObjectRecord], partition_bytes: int) -> ObjectOperations:
        ways = self.keyring, self.store, self.writer
        writer = RowWriter(self.follower, rows, *ways, self.confirmations, self.change_rate)
        return ObjectOperations(
            self.objects, rows, self.follower, writer, self.failures, partition_bytes=partition_bytes
        )
