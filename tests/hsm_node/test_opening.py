"""Opening gives a loaded keystore, or leaves nothing open behind."""

import contextlib
import os
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.config import load_node_config
from hsm_node.core.keyring import Keyring
from hsm_node.keystore import Keystore
from hsm_node.opening import open_keystore
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
