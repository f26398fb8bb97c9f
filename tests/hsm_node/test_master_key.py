from pathlib import Path

import msgspec
import pytest

from hsm_cluster.errors import ConfigurationError
from hsm_daemon.errors import StartError
from hsm_node.config import load_node_config
from hsm_node.master_key import MasterKeyConfig, load_keyring, read_master_key


def test_a_good_file_is_taken(node_folder: Path) -> None:
    source = MasterKeyConfig(file=node_folder / "master.key")
    assert repr(load_keyring(source)) == "Keyring(<secret>)"
    assert read_master_key(source) == bytes(range(32))


@pytest.mark.parametrize("content", ["", "ab" * 31, "ab" * 33, "zz" * 32, "é" * 40])
def test_anything_but_64_digits_is_refused_without_quoting_it(node_folder: Path, content: str) -> None:
    file = node_folder / "master.key"
    file.write_text(content)
    with pytest.raises(StartError, match="64 hexadecimal digits") as refused:
        read_master_key(MasterKeyConfig(file=file))
    assert not content or content not in str(refused.value)


def test_a_missing_or_open_file_is_refused(node_folder: Path) -> None:
    with pytest.raises(StartError, match="cannot be read"):
        read_master_key(MasterKeyConfig(file=node_folder / "none"))
    (node_folder / "master.key").chmod(0o644)
    with pytest.raises(StartError, match="chmod 600"):
        read_master_key(MasterKeyConfig(file=node_folder / "master.key"))


def test_a_credential_is_read_from_systemds_folder_whatever_its_mode(
    node_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (node_folder / "master.key").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(node_folder))
    assert read_master_key(MasterKeyConfig(credential="master.key")) == bytes(range(32))
    with pytest.raises(StartError, match="none: the master key cannot be read .* check the credential"):
        read_master_key(MasterKeyConfig(credential="none"))


def test_a_credential_without_systemd_is_refused_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(StartError, match="LoadCredential=master.key:PATH"):
        read_master_key(MasterKeyConfig(credential="master.key"))


def test_shares_cannot_be_read() -> None:
    with pytest.raises(StartError, match="comes as shares"):
        read_master_key(msgspec.convert({"shares": {}}, MasterKeyConfig))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("{ }", "exactly one source"),
        ('{ file = "a", credential = "b" }', "exactly one source"),
        ('{ file = "a", shares = {} }', "exactly one source"),
        ('{ credential = "../a" }', "without any folder"),
        ('{ credential = "" }', "without any folder"),
        ('{ credential = ".." }', "without any folder"),
        ("{ shares = { threshold = 2 } }", "unknown key 'threshold'"),
        ("{ shares = { keep_s = 0 } }", "keep_s"),
        ('{ key = "00" }', "unknown key 'key'"),
    ],
)
def test_a_table_that_cannot_be_meant_is_one_line(node_folder: Path, table: str, said: str) -> None:
    file = node_folder / "node.toml"
    file.write_text(file.read_text().replace('{ file = "master.key" }', table))
    with pytest.raises(ConfigurationError, match=said) as refused:
        load_node_config(file)
    assert "\n" not in str(refused.value)
    assert "master_key" in str(refused.value)


def test_what_holds_names_the_source_alone(node_folder: Path) -> None:
    shown = load_node_config(node_folder / "node.toml")[0].effective()
    assert shown["keystore"]["master_key"] == {"file": str(node_folder / "master.key")}
