"""The configuration of the proxy that is measured."""

from pathlib import Path

import pytest

from bench.proxy_files import IDENTITY, write_proxy_files
from proxy.config import load_config


@pytest.mark.parametrize("tls", [False, True])
def test_the_proxy_takes_it(tmp_path: Path, tls: bool) -> None:
    config = load_config(write_proxy_files(tmp_path, {"node-1": 1, "node-2": 2}, tls=tls))
    assert [node.name for node in config.cluster.nodes] == ["node-1", "node-2"]
    assert (config.tls is not None) is tls
    assert config.file.tls_off_identity == (None if tls else IDENTITY)
