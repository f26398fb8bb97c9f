from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.master_key import load_keyring


def test_a_good_file_is_taken(node_folder: Path) -> None:
    assert repr(load_keyring(node_folder / "master.key")) == "Keyring(<secret>)"


@pytest.mark.parametrize("content", ["", "ab" * 31, "ab" * 33, "zz" * 32, "é" * 40])
def test_anything_but_64_digits_is_refused_without_quoting_it(node_folder: Path, content: str) -> None:
    file = node_folder / "master.key"
    file.write_text(content)
    with pytest.raises(StartError, match="64 hexadecimal digits") as refused:
        load_keyring(file)
    assert not content or content not in str(refused.value)


def test_a_missing_or_open_file_is_refused(node_folder: Path) -> None:
    with pytest.raises(StartError, match="cannot be read"):
        load_keyring(node_folder / "none")
    (node_folder / "master.key").chmod(0o644)
    with pytest.raises(StartError, match="chmod 600"):
        load_keyring(node_folder / "master.key")
