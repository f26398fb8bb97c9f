"""The check of the model, as far as it needs no cluster: `python -m bench.capacity --check` runs the whole of it."""

import json
import os
import socket
from pathlib import Path

from bench import scale_check


def test_connections_to_a_port_are_counted_once_each() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert scale_check._connected({port}) == 0
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            assert scale_check._connected({port}) == 1


def test_files_of_a_process_are_counted() -> None:
    before = scale_check._files(os.getpid())
    with Path("/dev/null").open("rb"):
        assert scale_check._files(os.getpid()) == before + 1


def test_a_cluster_is_found_by_its_manifest_and_gives_the_load_its_files(tmp_path: Path) -> None:
    entry = {"name": "proxy-1", "pid": 1, "address": "127.0.0.1:2410", "admin": "127.0.0.1:9410"}
    config = tmp_path / "client.toml"
    config.write_text('proxies = []\nca = "ca.pem"\ncertificate = "tls/me.pem"\nkey = "tls/me-key.pem"\n')
    manifest = {"client_config": str(config), "proxies": [entry], "nodes": []}
    (tmp_path / "dev.json").write_text(json.dumps(manifest))
    (tmp_path / "load").mkdir()
    cluster = scale_check.Cluster(tmp_path)
    cluster.credentials(tmp_path / "load")
    assert cluster.proxy_port == 2410
    assert (tmp_path / "load" / "client-key.pem").readlink() == tmp_path / "tls" / "me-key.pem"


def test_a_row_says_what_was_predicted_and_what_was_found() -> None:
    row = scale_check._check("files", 10, 11.006, "")
    assert (row["study"], row["predicted"], row["measured"]) == ("check", 10, 11.01)
