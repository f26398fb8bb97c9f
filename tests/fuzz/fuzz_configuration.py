"""Invariant: any bytes as cluster.toml, proxy.toml, node.toml or client.toml are a configuration, or its loader's one
documented error with one printable line of text; nothing else is raised.

Input: one byte that chooses the file, then the file; the files that it names are good ones. Run: see `run.py`.
"""

import atexit
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from hsm_client import config as client_config
from hsm_client import errors as client_errors
from hsm_cluster.cluster import load_cluster
from hsm_cluster.errors import ConfigurationError
from hsm_node.config import load_node_config
from proxy.config import load_config

CLUSTER = b"""[cluster]
name = "t"
package = "sandbox"
[[sites]]
name = "local"
latitude = 47.0
longitude = 8.0
uplinks = ["lan"]
[[nodes]]
name = "node-1"
site = "local"
paths = [{ uplink = "lan", address = "127.0.0.1:2420" }]
[[partitions]]
id = 1
name = "p"
clients = [{ identity = "spiffe://t/client/a", roles = ["use"] }]
[[operators]]
identity = "spiffe://t/operator/o"
"""
FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-configuration-")
atexit.register(FOLDER.cleanup)
HERE = Path(FOLDER.name)
(HERE / "cluster.toml").write_bytes(CLUSTER)
Loader = Callable[[Path], object]


def load_client(path: Path) -> object:
    return client_config.load_config(path, environment={})


LOADERS: Mapping[str, tuple[Loader, type[Exception]]] = MappingProxyType(
    {
        "cluster": (load_cluster, ConfigurationError),
        "proxy": (load_config, ConfigurationError),
        "node": (load_node_config, ConfigurationError),
        "client": (load_client, client_errors.ConfigurationError),
    }
)


def one(data: bytes, loaders: Mapping[str, tuple[Loader, type[Exception]]] = LOADERS) -> None:
    """Check one input; `loaders` is there for the negative control."""
    if not data:
        return
    loader, documented = list(loaders.values())[data[0] % len(loaders)]
    path = HERE / "written.toml"
    path.write_bytes(data[1:])
    try:
        loaded = loader(path)
    except documented as error:
        text = str(error)
        assert text, "an error without a word"
        assert text.isprintable(), f"more than one printable line: {text!r}"
        return
    effective = getattr(loaded[0] if isinstance(loaded, tuple) else loaded, "effective", None)
    if effective is not None:
        effective()  # what `--check` prints


if __name__ == "__main__":
    import run

    run.inside("configuration", sys.argv[1:])
