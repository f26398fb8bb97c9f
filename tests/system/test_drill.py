"""A DR node that could not take over is found by one drill, not by the disaster: real etcd, each fault injected."""

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from data_centres import BACKENDS, Dev
from member_damage import damaged
from programs import wait_until
from site_networks import SiteNetworks, namespaces_lack
from store_cluster import ACTIVE, DR, SITES, SiteStore

from hsm_client import sync
from hsm_cluster.address import Address
from hsm_daemon.tls import TlsFiles
from hsm_node.backends.pkcs11.settings import DeviceSettings
from hsm_node.config import load_node_config
from hsm_node.core.keyring import Keyring
from hsm_node.core.records import open_record, resealed_record
from hsm_node.key_device import device_keyring, open_link
from hsm_node.store.base import StoreError
from hsm_node.store.etcd.driver import EtcdStore

IN_TOKENS = ("ec-p256", "rsa-2048", "aes-256", "hmac-256")
TYPES = {
    "software": (*IN_TOKENS, "ed25519", "x25519", "secret-256", "ml-dsa-65", "ml-kem-768"),
    "softhsm": IN_TOKENS,
}
DR_NODE, DR_MEMBER = "node-5", "etcd-alps"


@pytest.fixture(params=BACKENDS)
def dev(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Dev]:
    running = Dev(tmp_path / "dc", request.param)
    try:
        yield running
    finally:
        running.stop()


def ask(dev: Dev, *command: str) -> tuple[int, dict[str, Any]]:
    done = dev.hsmctl("dr", *command, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def metrics(dev: Dev) -> dict[str, float]:
    [node] = [node for node in dev.manifest["nodes"] if node["name"] == DR_NODE]
    with urllib.request.urlopen(f"http://{node['admin']}/metrics", timeout=30) as answer:
        rows = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name.removeprefix("hsm_node_recovery_"): float(value) for name, value in rows}


def check_found(dev: Dev, reason: str) -> dict[str, Any]:
    """Make one drill, which must find that, and set what the alert RedoubtDrillFailed reads."""
    code, report = ask(dev, "drill")
    assert (code, report["good"]) == (1, False), report
    seen = metrics(dev)
    assert seen["last_drill_good"] == 0
    assert seen[f'drill_faults{{reason="{reason}"}}'] >= 1, report
    code, told = ask(dev, "status")
    assert code == 1
    assert all(problem["what"] and problem["advice"] for problem in told["problems"])
    return report


def check_good(dev: Dev) -> dict[str, Any]:
    code, report = ask(dev, "drill")
    assert (code, report["faults"]) == (0, [])
    assert metrics(dev)["last_drill_good"] == 1
    assert ask(dev, "status")[0] == 0
    return report


@pytest.fixture
def keyring(dev: Dev, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyring]:
    """What opens the store: the master key, or a link to the first node's token that has it."""
    if not dev.in_tokens:
        yield Keyring(bytes.fromhex((dev.folder / "master.key").read_text().strip()))
        return
    monkeypatch.setenv("SOFTHSM2_CONF", str(dev.folder / "softhsm2.conf"))
    config, _ = load_node_config(dev.folder / "node-1.toml")
    assert isinstance(config.backend, DeviceSettings)
    link = open_link(msgspec.structs.replace(config, state_dir=tmp_path / "pins", sessions=1), config.backend)
    yield device_keyring(link)
    link.close()


def test_each_fault_of_the_dr_site_is_found_within_one_drill(dev: Dev, keyring: Keyring, count: Any) -> None:
    types = TYPES[dev.backend]
    with sync.connect(dev.folder / "client.toml") as hsm:
        for key_type in types:
            hsm.generate_key(key_type, label=key_type)
    report = check_good(dev)
    assert [kind.split(":")[0] for kind in report["kinds"]] == sorted(types)
    assert (report["keys"], report["rpo_records"]) == (len(types), 0)
    count("milliseconds until the DR site had served every kind", round(1000 * report["rto_seconds"]))
    check_local_socket(dev)
    check_stopped_member(dev)
    check_damaged_file(dev)
    check_record_of_another_master_key(dev, keyring)


def check_local_socket(dev: Dev) -> None:
    """Without a proxy and a certificate; and refused where it does not belong."""
    code, told = ask(dev, "status", "--socket", str(dev.folder / "state" / DR_NODE / "admin.sock"))
    assert (code, told["site"], told["state"], told["last_drill"]["good"]) == (0, "alps", "standby", True)
    refused = dev.hsmctl("dr", "drill", "--socket", dev.folder / "state" / "node-1" / "admin.sock")
    assert refused.returncode == 1
    assert "node-1 is a productive node of zurich" in refused.stderr


def check_stopped_member(dev: Dev) -> None:
    [member] = [member for member in dev.manifest["store"] if member["name"] == DR_MEMBER]
    os.kill(member["pid"], signal.SIGSTOP)
    try:
        assert any("this site's copy is out" in text for text in check_found(dev, "store")["faults"])
    finally:
        os.kill(member["pid"], signal.SIGCONT)
    wait_until(lambda: ask(dev, "drill")[0] == 0, lambda: str(ask(dev, "status")))


def check_damaged_file(dev: Dev) -> None:
    with damaged(dev.folder / "etcd" / DR_MEMBER) as name:
        report = check_found(dev, "records")
        assert report["refused"] == 1
        assert name in report["faults"][0]
        with sync.connect(dev.folder / "client.toml") as hsm:
            hsm.find_keys(label="ec-p256")[0].sign(b"served all the same", "ecdsa-sha256")
    check_good(dev)


def check_record_of_another_master_key(dev: Dev, ours: Keyring) -> None:
    """Somebody who can write the store puts a record there as another cluster's master key seals it."""
    files = [dev.folder / f"node-1-store{end}" for end in (".pem", "-key.pem")]
    tls = TlsFiles(dev.folder / "store-ca.pem", *files)
    addresses = [Address.parse(member["address"]) for member in dev.manifest["store"]]
    theirs = Keyring(os.urandom(32))
    store = EtcdStore(addresses, tls, "dev", ours)
    try:
        row = next(row for row in store.copy.page(b"", 0).rows if is_key(row, store, ours))
        record = open_record(row.data, row.name, store.cluster_id, ours)
        wrapped = theirs.wrap(os.urandom(32))
        changed = type(record)(
            **{name: getattr(record, name) for name in record.__struct_fields__} | {"wrapped": wrapped}
        )
        assert store.change(row.name, row.revision, resealed_record(changed, theirs)) is not None
    finally:
        store.close()
    report = check_found(dev, "records")
    assert "made under another master key" in report["faults"][0]


def is_made(store: EtcdStore, number: int) -> bool:
    """Make a record; False where that took too long: an election may be going on."""
    try:
        store.create(number.to_bytes(32, "big"), b"x" * 600)
    except StoreError:
        return False
    return True


def is_key(row: Any, store: EtcdStore, ours: Keyring) -> bool:
    try:
        return not open_record(row.data, row.name, store.cluster_id, ours).destroyed
    except Exception:  # noqa: BLE001 - another kind of row
        return False


def test_a_copy_that_is_cut_off_from_the_others_is_behind_by_what_was_written_since(tmp_path: Path) -> None:
    if lack := namespaces_lack():
        pytest.skip(lack)
    networks = SiteNetworks(SITES)
    members = SiteStore(tmp_path, networks, timedelta(hours=1))
    try:
        members.start()
        dr = members.members[SITES.index(DR)]
        store = EtcdStore(members.addresses, members.tls, "dev", Keyring(os.urandom(32)), recovery=dr.address)
        try:
            wait_until(lambda: store.copy.revision() >= store.copy.newest(), lambda: "the copy has everything")
            for site in ACTIVE:
                networks.cut(site, DR)
            for number in range(20):
                wait_until(lambda number=number: is_made(store, number), lambda: "the others take a record")  # type: ignore[misc]  # mypy cannot tell its type
            assert store.copy.newest() - store.copy.revision() >= 20
            networks.heal()
            wait_until(lambda: store.copy.revision() >= store.copy.newest(), lambda: "the copy has caught up")
        finally:
            store.close()
    finally:
        members.stop()
        networks.close()
