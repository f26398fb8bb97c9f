"""The next master key: from the configuration, at start and at SIGHUP."""

import re
from pathlib import Path

import msgspec
import pytest

from hsm_cluster.errors import ConfigurationError
from hsm_daemon.errors import StartError
from hsm_node.config import KeystoreConfig, load_node_config
from hsm_node.core.keyring import Keyring
from hsm_node.next_master_key import Succession, check_master_keys, hold_next

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with the files old and new."""
    for name, key in (("old", OLD), ("new", NEW)):
        file = tmp_path / name
        file.touch(mode=0o600)
        file.write_text(key.hex())
    return tmp_path


def configured(folder: Path, master: str, following: str = "") -> KeystoreConfig:
    table: dict[str, object] = {"master_key": {"file": folder / master} if master else {"shares": {}}}
    if following:
        table["next_master_key"] = {"file": folder / following}
    return msgspec.convert(table, KeystoreConfig)


def test_the_next_key_is_held_and_not_used(keys: Path) -> None:
    ring = Keyring(OLD)
    hold_next(ring, configured(keys, "old"))
    assert not ring.several
    hold_next(ring, configured(keys, "old", "new"))
    assert (ring.version, ring.versions) == (1, [1, 2])
    assert ring.fingerprint(2) == Keyring(NEW).fingerprint()


def test_the_same_key_twice_and_a_missing_file_are_refused(keys: Path) -> None:
    with pytest.raises(StartError, match="the same key"):
        hold_next(Keyring(OLD), configured(keys, "old", "old"))
    for use in (
        lambda: hold_next(Keyring(OLD), configured(keys, "old", "gone")),
        lambda: Succession(Keyring(OLD), configured(keys, "old", "gone"), settled=True),
    ):
        with pytest.raises(StartError, match="cannot be read"):
            use()


def test_a_check_reads_what_lies_somewhere(keys: Path) -> None:
    for good in (("old",), ("old", "new"), ("",), ("", "new")):
        check_master_keys(configured(keys, *good))
    for bad in (("gone",), ("old", "gone"), ("", "gone"), ("old", "old")):
        with pytest.raises(StartError):
            check_master_keys(configured(keys, *bad))


def test_a_check_by_hand_leaves_credentials_to_the_service(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_next(following: object) -> KeystoreConfig:
        return msgspec.convert({"master_key": {"credential": "old"}, "next_master_key": following}, KeystoreConfig)

    gone = {"file": keys / "gone"}
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    check_master_keys(with_next({"credential": "gone"}))
    with pytest.raises(StartError, match="gone"):
        check_master_keys(with_next(gone))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(keys))
    check_master_keys(with_next({"credential": "new"}))
    with pytest.raises(StartError, match="gone"):
        check_master_keys(with_next({"credential": "gone"}))


def test_shares_are_no_next_key(node_folder: Path) -> None:
    file = node_folder / "node.toml"
    file.write_text(file.read_text().replace("[keystore]\n", "[keystore]\nnext_master_key = { shares = {} }\n"))
    with pytest.raises(ConfigurationError, match="next_master_key lies in a file or credential"):
        load_node_config(file)


def test_a_master_key_in_a_device_is_not_rotated(node_folder: Path) -> None:
    file = node_folder / "node.toml"
    keystore = 'master_key = { device = "redoubt" }\nnext_master_key = { file = "new.key" }\n'
    file.write_text(re.sub(r"(?m)^master_key = .*\n", keystore, file.read_text()))
    with pytest.raises(ConfigurationError, match="a master key in a device has no successor"):
        load_node_config(file)


def test_a_running_node_takes_the_next_key_in_and_forgets_the_old_one_when_nothing_is_under_it(keys: Path) -> None:
    ring = Keyring(OLD)
    assert Succession(ring, configured(keys, "old", "new"), settled=True).apply() == ()
    assert (ring.version, ring.versions) == (1, [1, 2])
    ring.use(2)
    with pytest.raises(StartError, match="status"):
        Succession(ring, configured(keys, "new"), settled=False)
    Succession(ring, configured(keys, "new"), settled=True).apply()
    assert (ring.version, ring.versions) == (2, [2])


def test_taking_the_next_key_back_waits_for_a_restart(keys: Path) -> None:
    ring = Keyring(OLD)
    hold_next(ring, configured(keys, "old", "new"))
    assert Succession(ring, configured(keys, "old"), settled=True).apply() == ("keystore.next_master_key",)
    assert ring.versions == [1, 2]


def test_a_key_that_came_as_shares_is_taken_to_be_as_it_was(keys: Path) -> None:
    ring = Keyring(OLD)
    Succession(ring, configured(keys, "", "new"), settled=True).apply()
    assert ring.versions == [1, 2]
    ring.use(2)
    Succession(ring, configured(keys, "", "new"), settled=True).apply()
    assert ring.versions == [1, 2]


def test_another_master_key_is_no_reload(keys: Path) -> None:
    with pytest.raises(StartError, match="the one in use"):
        Succession(Keyring(OLD), configured(keys, "new"), settled=True)
