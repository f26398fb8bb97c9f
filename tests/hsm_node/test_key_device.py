"""The device of a node, from its configuration."""

import stat
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.backends.pkcs11.settings import DeviceSettings, PinSource
from hsm_node.config import load_node_config
from hsm_node.key_device import check_device, open_link, read_pin


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    path = tmp_path / "pin"
    path.touch(mode=0o600)
    path.write_text("1234\n")
    return path


@pytest.fixture
def settings(tmp_path: Path, pin: Path) -> DeviceSettings:
    return DeviceSettings(tmp_path / "none.so", PinSource(file=pin), token_label="one")


def test_a_pin_is_the_line_in_its_file_and_the_file_is_private(pin: Path) -> None:
    assert read_pin(PinSource(file=pin)) == b"1234"
    pin.write_text("\n")
    with pytest.raises(StartError, match="no PIN in it"):
        read_pin(PinSource(file=pin))
    pin.chmod(stat.S_IRUSR | stat.S_IRGRP)
    with pytest.raises(StartError, match="chmod 600"):
        read_pin(PinSource(file=pin))


def test_a_missing_module_is_one_line_and_no_attempt(
    settings: DeviceSettings, node_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(StartError, match="there is no such file"):
        check_device(settings)
    text = (node_folder / "node.toml").read_text().replace('file = "master.key"', 'device = "redoubt"')
    (node_folder / "node.toml").write_text(
        f'{text}[backend]\nkind = "pkcs11"\nmodule = "none.so"\ntoken_label = "one"\npin = {{ file = "pin" }}\n'
    )
    config, _ = load_node_config(node_folder / "node.toml")
    assert isinstance(config.backend, DeviceSettings)
    assert config.backend.module == tmp_path / "none.so"
    with pytest.raises(StartError, match="there is no such file"):
        open_link(config, config.backend)
    assert not (config.state_dir / "pins.json").exists()
