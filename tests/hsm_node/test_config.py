import json
from pathlib import Path

import pytest

from hsm_cluster.errors import ConfigurationError
from hsm_node.config import load_node_config


def test_paths_are_relative_to_the_file_and_no_secret_is_shown(node_folder: Path) -> None:
    config, cluster = load_node_config(node_folder / "node.toml")
    assert cluster.name == "dev"
    assert config.store.path == node_folder / "store.db"
    assert config.tls_files is None
    assert (node_folder / "master.key").read_text().strip() not in json.dumps(config.effective())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "node-1"', 'name = "node-9"', "node-9"),
        ("sessions = 2", "sessions = 0", "sessions"),
        ("sessions = 2", "sesions = 2", "sesions"),
        ('listen = "127.0.0.1:0"', 'listen = "0.0.0.0:0"', "loopback"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(node_folder: Path, old: str, new: str, said: str) -> None:
    file = node_folder / "node.toml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ConfigurationError, match=said):
        load_node_config(file)
