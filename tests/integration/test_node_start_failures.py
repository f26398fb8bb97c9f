"""A node that cannot start says why in one line, ends with 2 and has written nothing."""

import secrets
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster
from programs import Program

from hsm_client import connect

CONFIGURATION = 2


on_one_loop = pytest.mark.other_loop_in_system
"""Of all but those that open sockets."""


@pytest.fixture(scope="module")
def filled(event_loop_name: str, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A stopped cluster of one node whose store holds a key; the tests work on copies of what it wrote."""
    made = Cluster(tmp_path_factory.mktemp(f"filled-{event_loop_name}"), event_loop_name, 1)

    async def fill() -> None:
        async with connect(made.client_config) as hsm:
            await hsm.generate_key("ec-p256", label="kept")

    try:
        made.start()
        made.run(fill)
        assert made.nodes[0].terminate() == 0
        assert made.proxy.terminate() == 0
    finally:
        made.stop()
    return made


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster], filled: Cluster) -> Cluster:
    """A stopped cluster of one node with that master key and store, and with what the node remembers."""
    made = make_cluster(1, started=False)
    shutil.copy2(filled.master_key, made.master_key)
    for path in filled.folder.glob(f"{filled.store.name}*"):
        shutil.copy2(path, made.folder)
    shutil.copytree(filled.folder / "state", made.folder / "state")
    return made


def files(cluster: Cluster) -> dict[Path, tuple[bytes, int]]:
    """Return every file under the cluster's folder, with content and time of change."""
    found = (path for path in cluster.folder.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def refused(cluster: Cluster, *words: str) -> None:
    """Start the node; check that it refuses as it should and names all the words."""
    before = files(cluster)
    done = cluster.nodes[0].run_to_end()
    assert done.returncode == CONFIGURATION, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert files(cluster) == before


def starts(program: Program) -> None:
    """Check that the program starts: so it was the fault alone that kept it from it."""
    program.start()
    program.wait_ready()


@on_one_loop
def test_a_wrong_master_key(cluster: Cluster) -> None:
    right = cluster.master_key.read_text()
    cluster.master_key.write_text(secrets.token_hex(32) + "\n")
    refused(cluster, "master key", str(cluster.store))
    cluster.master_key.write_text(right)
    starts(cluster.nodes[0])


@on_one_loop
@pytest.mark.parametrize("content", ["", "abc\n", "zz" * 32 + "\n", "00" * 31 + "\n"])
def test_a_master_key_that_is_none(make_cluster: Callable[..., Cluster], content: str) -> None:
    cluster = make_cluster(1, started=False)
    cluster.master_key.write_text(content)
    refused(cluster, str(cluster.master_key))


@on_one_loop
def test_a_master_key_that_others_can_read(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(1, started=False)
    cluster.master_key.chmod(0o644)
    refused(cluster, str(cluster.master_key), "600")


@on_one_loop
@pytest.mark.parametrize("damage", ["header", "page", "cut"])
def test_a_damaged_store(cluster: Cluster, damage: str) -> None:
    whole = cluster.store.read_bytes()
    damaged = {
        "header": b"\0" * 100 + whole[100:],
        "page": whole[:4096] + bytes(255 for _ in whole[4096:]),
        "cut": whole[: len(whole) // 2],
    }[damage]
    cluster.store.write_bytes(damaged)
    refused(cluster, "damaged", str(cluster.store))
    cluster.store.write_bytes(whole)
    starts(cluster.nodes[0])


@on_one_loop
def test_a_store_of_a_newer_version(cluster: Cluster) -> None:
    connection = sqlite3.connect(cluster.store)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.close()
    refused(cluster, "version", "upgrade", str(cluster.store))


@pytest.mark.parametrize("which", ["listen", "admin"])
def test_an_address_in_use(cluster: Cluster, which: str) -> None:
    node = cluster.nodes[0]
    port = node.port if which == "listen" else node.admin_port
    with socket.create_server(("127.0.0.1", port)):
        refused(cluster, f"127.0.0.1:{port}", "in use")
    starts(node)


@on_one_loop
@pytest.mark.parametrize("which", ["ca.pem", "node-1.pem", "node-1-key.pem"])
def test_a_missing_certificate(cluster: Cluster, which: str) -> None:
    path = cluster.folder / "tls" / which
    content = path.read_bytes()
    path.unlink()
    refused(cluster, str(path))
    path.write_bytes(b"not a certificate\n")
    refused(cluster, str(path))
    path.write_bytes(content)
    starts(cluster.nodes[0])


@on_one_loop
@pytest.mark.parametrize(
    "change", [{"colour": '"red"'}, {"sessions": "0"}, {"name": '"node-9"'}, {"listen": '"nowhere"'}]
)
def test_a_configuration_that_cannot_be_meant(make_cluster: Callable[..., Cluster], change: dict[str, str]) -> None:
    cluster = make_cluster(1, started=False)
    cluster.write_node(cluster.nodes[0], **change)
    refused(cluster, "colour" if "colour" in change else next(iter(change.values())).strip('"'))


@on_one_loop
def test_a_fault_is_found_before_a_store_is_made(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(1, started=False)
    (cluster.folder / "tls" / "node-1.pem").unlink()
    refused(cluster, "node-1.pem")
    assert not cluster.store.exists()
