"""Opening gives a loaded keystore, or leaves nothing open behind."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from hsm_daemon.errors import StartError
from hsm_node.config import load_node_config
from hsm_node.core.keyring import Keyring
from hsm_node.keystore import Keystore
from hsm_node.opening import open_keystore, open_store
from hsm_node.state.state_dir import StateDir


async def opened(folder: Path, keyring: Keyring, held: contextlib.ExitStack) -> Keystore:
    config, cluster = load_node_config(folder / "node.toml")
    keystore = open_keystore(config, cluster, StateDir(config.state_dir), keyring, held)
    keystore.close()
    return keystore


async def test_what_was_opened_is_closed_by_who_holds_it(node_folder: Path, keyring: Keyring) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with contextlib.ExitStack() as held:
        assert (await opened(node_folder, keyring, held)).follower.current
        assert len(os.listdir("/proc/self/fd")) > before
    assert len(os.listdir("/proc/self/fd")) == before
    assert StateDir(node_folder / "state" / "node-1").seen is not None


async def test_a_wrong_key_leaves_nothing_open_and_the_right_one_still_opens(
    node_folder: Path, keyring: Keyring, other_keyring: Keyring
) -> None:
    with contextlib.ExitStack() as held:
        await opened(node_folder, keyring, held)
    before = len(os.listdir("/proc/self/fd"))
    with contextlib.ExitStack() as held:
        with pytest.raises(StartError, match="master key"):
            await opened(node_folder, other_keyring, held)
        assert len(os.listdir("/proc/self/fd")) == before
        assert (await opened(node_folder, keyring, held)).follower.current


async def test_a_store_that_is_gone_is_not_made_anew(node_folder: Path, keyring: Keyring) -> None:
    with contextlib.ExitStack() as held:
        await opened(node_folder, keyring, held)
    (node_folder / "store.db").unlink()
    with contextlib.ExitStack() as held, pytest.raises(StartError, match="is missing"):
        await opened(node_folder, keyring, held)
    assert not (node_folder / "store.db").exists()


@pytest.mark.parametrize(
    ("is_first", "was_used", "makes", "waits_for"),
    [(True, False, True, "node-1"), (False, False, False, "node-0"), (True, True, False, ""), (False, True, False, "")],
)
def test_only_the_first_node_makes_a_store_between_data_centres_and_only_at_its_first_start(
    node_folder: Path,
    keyring: Keyring,
    monkeypatch: pytest.MonkeyPatch,
    is_first: bool,
    was_used: bool,
    makes: bool,
    waits_for: str,
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr("hsm_node.store.etcd.driver.EtcdStore", lambda *_, **named: asked.update(named))
    file, cluster_file = node_folder / "node.toml", node_folder / "cluster.toml"
    etcd = 'driver = "etcd"\nendpoints = ["127.0.0.1:2379"]\ntls = "off"'
    file.write_text(file.read_text().replace('path = "store.db"', etcd))
    if not is_first:
        paths = '[{ uplink = "lo", address = "127.0.0.1:2421" }]'
        earlier = f'[[nodes]]\nname = "node-0"\nsite = "local"\npaths = {paths}\n'
        cluster_file.write_text(cluster_file.read_text().replace("[[nodes]]\n", earlier + "[[nodes]]\n", 1))
    config, cluster = load_node_config(file)
    state = StateDir(config.state_dir)
    if was_used:
        state.keep(b"c" * 16, 1)
    open_store(config, cluster, state, keyring)
    assert (asked["make"], asked["maker"]) == (makes, waits_for)
