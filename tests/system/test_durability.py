"""Durability `dr`: what is answered OK is at the DR site, and when that cannot be, the answer says so
(docs/consistency.md, a7). Each site is a network of its own."""

import asyncio
import base64
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from cluster import NAME
from programs import wait_until
from scale import SLACK
from site_networks import namespaces_lack
from store_cluster import ACTIVE, DR, StoreCluster
from store_stand import StoreStand

from hsm_client import sync
from hsm_client.config import load_config
from hsm_client.connection import Connection, ConnectionLost
from hsm_client.key_ids import new_key_id, new_operation_id
from hsm_client.tls import TlsIdentity
from hsm_node.config import load_node_config
from hsm_node.core.keyring import Keyring
from hsm_node.core.site_copy import DR_WAIT_S
from hsm_node.master_key import load_keyring
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.transactions import ROW_PREFIX, key_of
from hsm_wire.kinds import DURABLE_DR, Flag
from hsm_wire.messages import ImportKey, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

pytestmark = pytest.mark.alone

SOON_S = 1.0 * SLACK
WITHIN_S = DR_WAIT_S + SOON_S
BACK_S = 15.0 * SLACK
"""A connection over which nothing came for seconds is given up, and made again."""
IN_FLIGHT = 8
SURE = 50
"""Keys that are at the DR site before anything happens."""
CUT_S = 1.0
NOT_YET = f"done, but not yet at the DR site {DR}"

Fault = Callable[[StoreCluster], AbstractContextManager[None]]


@contextmanager
def stopped(cluster: StoreCluster) -> Iterator[None]:
    """The member stands still."""
    cluster.members[DR].signal(signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.members[DR].signal(signal.SIGCONT)


@contextmanager
def cut_off(cluster: StoreCluster) -> Iterator[None]:
    """No packet reaches the site or leaves it."""
    cluster.networks.drop(DR)
    try:
        yield
    finally:
        cluster.networks.restore(DR)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreCluster]:
    """Three sites that serve; the cluster's durability is dr."""
    if lack := namespaces_lack():
        pytest.skip(lack)
    made = StoreCluster(tmp_path_factory.mktemp("sites"), durability="dr")
    try:
        made.start()
        yield made
    finally:
        made.stop()


class Caller:
    """Makes keys one after the other, and keeps what the library says of each."""

    def __init__(self, hsm: sync.Hsm, caplog: pytest.LogCaptureFixture) -> None:
        self._hsm = hsm
        self._caplog = caplog
        self.took = 0.0

    def make(self, key_id: bytes = b"", **wish: object) -> tuple[sync.Key, list[str]]:
        """Make a key; return it, and what was said."""
        self._caplog.clear()
        begun = time.monotonic()
        key = self._hsm.generate_key("ec-p256", key_id=key_id or None, **wish)  # type: ignore[arg-type]  # one of two
        self.took = time.monotonic() - begun
        return key, list(self._caplog.messages)


@pytest.mark.parametrize(
    ("fault", "changed"),
    [(stopped, [NOT_YET]), (cut_off, [f"done, but not confirmed by node-4, {DR}"])],
    ids=["stands still", "is cut off"],
)
def test_while_the_dr_site_s_member_is_away_keys_are_pending_and_usable_and_then_they_are_sure_again(
    cluster: StoreCluster, caplog: pytest.LogCaptureFixture, fault: Fault, changed: list[str]
) -> None:
    cluster.lead("zurich")
    pending = new_key_id()
    with caplog.at_level(logging.WARNING, "hsm_client"), sync.connect(cluster.client_config) as hsm:
        caller = Caller(hsm, caplog)
        assert caller.make()[1] == []
        assert caller.took < SOON_S
        with fault(cluster):
            key, told = caller.make(pending)
            assert told == [NOT_YET]
            assert DR_WAIT_S - SOON_S < caller.took < WITHIN_S
            for _ in range(4 * len(cluster.active)):
                key.sign(b"usable", "ecdsa-sha256")
            for _ in range(2 * len(cluster.active)):
                assert caller.make()[1] == [NOT_YET]
                assert caller.took < WITHIN_S
            wait_until(lambda: caller.make()[1] == [NOT_YET] and caller.took < SOON_S, lambda: "all nodes know it")
            assert caller.make(durability="quorum")[1] == []
            caplog.clear()
            key.update(label="changed")
            assert caplog.messages == changed
        begun = time.monotonic()
        wait_until(lambda: caller.make()[1] == [], lambda: f"the member is back: {caplog.messages}", BACK_S)
        print("sure again after", round(time.monotonic() - begun, 2), "s")
        wait_until(lambda: caller.make(pending)[1] == [], lambda: "what was pending is sure on every node", BACK_S)
    said = "".join(node.log() for node in cluster.active)
    assert "the store's member at the DR site does not have what was written" in said
    assert "the store's member at the DR site has everything that was waited for" in said


class Load:
    """Keys brought in at the same time over one connection, with either durability. (Making one takes turns.)"""

    def __init__(self, cluster: StoreCluster) -> None:
        self._cluster = cluster
        self.answered: dict[int, dict[bytes, int | None]] = {DURABLE_DR: {}, int(Flag.DURABLE_QUORUM): {}}
        """By the flag: key -> status; None: there was no answer."""

    async def run(self, until: Callable[[], object]) -> None:
        """Make keys until that, in a thread, has ended everything."""
        config = load_config(self._cluster.client_config)
        assert config.tls is not None
        connection = await Connection.open(config.proxies[0], TlsIdentity(config.tls))
        makers = [
            asyncio.ensure_future(self._make(connection, flag)) for flag in self.answered for _ in range(IN_FLIGHT)
        ]
        await asyncio.to_thread(until)
        await asyncio.gather(*makers)

    async def _make(self, connection: Connection, flag: int) -> None:
        while True:
            key_id = new_key_id()
            self.answered[flag][key_id] = None
            body = encode_body(ImportKey(key_id, "aes-256", os.urandom(32)))
            try:
                sent = connection.send(
                    Opcode.IMPORT_KEY, body, timeout_s=60, operation_id=new_operation_id(), flags=flag
                )
                self.answered[flag][key_id] = (await connection.answer(sent)).status
            except ConnectionLost:
                return

    def sure(self, flag: int) -> list[bytes]:
        """Return the keys that were answered OK."""
        return [key_id for key_id, status in self.answered[flag].items() if status == Status.OK]


def keyring_of(cluster: StoreCluster) -> Keyring:
    """Return what names the records of the store."""
    config, _ = load_node_config(cluster.nodes[0].config)
    keyring = load_keyring(config.keystore.master_key)
    store = EtcdStore(config.store.endpoints, config.store.tls_files, NAME, keyring, make=False)
    store.close()
    return keyring


def restart(cluster: StoreCluster) -> None:
    """Start the active sites again, the store before the daemons."""
    for site in ACTIVE:
        cluster.members[site].start()
    for site in ACTIVE:
        cluster.members[site].wait_ready()
    daemons = [daemon for site in ACTIVE for daemon in cluster.at(site)]
    for daemon in daemons:
        daemon.start()
    for daemon in daemons:
        daemon.wait_ready()
    cluster.wait_current()
    cluster.wait_in_rotation()


@pytest.mark.parametrize("cut_s", [0.0, CUT_S], ids=["at any moment", "after it was cut off"])
def test_what_was_answered_ok_is_at_the_dr_site_when_both_active_sites_are_killed(
    cluster: StoreCluster, cut_s: float
) -> None:
    cluster.lead("zurich")
    keyring, load = keyring_of(cluster), Load(cluster)

    def end() -> None:
        wait_until(lambda: len(load.sure(DURABLE_DR)) >= SURE, lambda: f"{SURE} keys are sure: {load.answered}")
        if cut_s:
            cluster.networks.drop(DR)
            time.sleep(cut_s)
        cluster.kill_sites_at_once(ACTIVE)

    try:
        cluster.run(lambda: load.run(end))
        listed = cluster.store_members.ctl_inside(
            DR, "get", "--consistency=s", "--prefix", "--keys-only", ROW_PREFIX.decode()
        )
        there = {base64.b64decode(pair["key"]) for pair in listed["kvs"]}
        lost = {
            flag: [key_id for key_id in load.sure(flag) if key_of(keyring.name(1, key_id)) not in there]
            for flag in load.answered
        }
        print({flag: (len(load.sure(flag)), len(lost[flag])) for flag in lost})
        assert lost[DURABLE_DR] == []
        if cut_s:
            assert lost[int(Flag.DURABLE_QUORUM)], "without durability dr some are lost, or this test shows nothing"
    finally:
        cluster.networks.heal()
        restart(cluster)


def test_the_page_on_the_store_shows_it(tmp_path: Path) -> None:
    stand = StoreStand(tmp_path)
    try:
        stand.follow("Nothing is lost with both active sites: durability")
    finally:
        stand.close()
