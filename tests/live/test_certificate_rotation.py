"""Every certificate is replaced under load, and the authority behind them: no request fails.

Both authorities are trusted first, then everybody gets a certificate of the new one, then the old one goes: three times
SIGHUP. Clients that stay connected go on all the time; others come with the files that lie there just then.
"""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority, Identity
from cluster import NAME, Cluster
from load import Load
from programs import Program, wait_until
from stand import metric_of

from hsm_client import sync
from hsm_client.errors import HsmError

CLIENTS = 16
RATE = 100.0
LEAST = 100
"""Requests answered in each phase, at least."""


@pytest.fixture
def cluster(tmp_path: Path, event_loop_name: str) -> Iterator[Cluster]:
    """Real nodes and two proxies."""
    made = Cluster(tmp_path, event_loop_name, proxies=2)
    try:
        made.start()
        yield made
    finally:
        made.stop()


class Newcomers:
    """A client that comes, signs and goes, again and again, with the files as they are. Use as a context manager."""

    def __init__(self, config: Path, key_id: str) -> None:
        self.came = 0
        self.failed: list[str] = []
        self._config = config
        self._key_id = key_id
        self._stop = threading.Event()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="newcomers", daemon=True)

    def __enter__(self) -> "Newcomers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            hsm = sync.connect(self._config)
            try:
                with self._changing:  # A certificate and its key are two files: nobody may read one old and one new.
                    hsm.open()
                hsm.key(self._key_id).sign(b"data", "ecdsa-sha256")
            except HsmError as error:
                self.failed.append(repr(error))
            finally:
                hsm.close()
            self.came += 1

    def replace(self, change: "Change") -> None:
        """Replace files while nobody reads them."""
        with self._changing:
            change.write()


class Change:
    """One step: what is written before the SIGHUP."""

    def __init__(self, cluster: Cluster, trusted: bytes, issuer: Authority | None = None) -> None:
        self._cluster = cluster
        self._trusted = trusted
        self._issuer = issuer

    def write(self) -> None:
        """Write the authorities, and new certificates of `issuer` where there is one."""
        cluster = self._cluster
        cluster.authority.path.write_bytes(self._trusted)
        if self._issuer is None:
            return
        names = {node.name: "node" for node in cluster.nodes} | {proxy.name: "proxy" for proxy in cluster.proxies}
        for name, kind in {**names, "app": "client"}.items():
            made = self._issuer.issue(f"spiffe://{NAME}/{kind}/{name}", name)
            for file in (made.certificate, made.key):
                file.replace(cluster.authority.folder / file.name)


def reload(cluster: Cluster) -> None:
    """SIGHUP to everybody; return when all have taken it."""
    for program in (*cluster.nodes, *cluster.proxies):
        before = program.log().count("configuration loaded")
        os.kill(program.pid, signal.SIGHUP)
        wait_until(
            lambda program=program, before=before: program.log().count("configuration loaded") > before,  # type: ignore[misc]
            lambda program=program: f"{program.name} has its files anew:\n{program.log()[-2000:]}",  # type: ignore[misc]
        )


def more(load: Load, newcomers: Newcomers) -> None:
    """Wait until both kinds of clients have been served some more."""
    goal, coming = len(load.latencies) + LEAST, newcomers.came + 3
    wait_until(
        lambda: len(load.latencies) >= goal and newcomers.came >= coming,
        lambda: f"{len(load.latencies)} answers, {newcomers.came} came, failed: {load.failed} {newcomers.failed}",
    )


def restart(cluster: Cluster, node: Program) -> None:
    """Have the proxies connect to a node anew."""
    assert node.terminate() == 0, node.log()[-2000:]
    node.start()
    node.wait_ready()
    cluster.wait_in_rotation()


def kept(identity: Identity, folder: Path) -> str:
    """Keep a client's old files; return the TOML that names them."""
    folder.mkdir()
    lines = []
    for name, file in (("ca", identity.ca), ("certificate", identity.certificate), ("key", identity.key)):
        copy = folder / file.name
        copy.touch(mode=0o600)
        copy.write_bytes(file.read_bytes())
        lines.append(f'{name} = "{copy}"\n')
    return "".join(lines)


def test_no_request_fails_while_every_certificate_and_the_authority_are_replaced(
    cluster: Cluster, tmp_path: Path
) -> None:
    with sync.connect(cluster.client_config) as hsm:
        key_id = hsm.generate_key("ec-p256").id
    old = cluster.authority.path.read_bytes()
    outdated = tmp_path / "outdated.toml"
    proxies = cluster.client_config.read_text().splitlines()[0]
    outdated.write_text(f"{proxies}\n{kept(cluster.app, tmp_path / 'kept')}")
    successor = Authority(tmp_path / "successor")
    new = successor.path.read_bytes()
    steps = [Change(cluster, old + new), Change(cluster, old + new, successor), Change(cluster, new)]
    key = bytes.fromhex(key_id)
    with (
        Load(cluster.client_config, clients=CLIENTS, rate=RATE, key_id=key, verify=False) as load,
        Newcomers(cluster.client_config, key_id) as newcomers,
    ):
        more(load, newcomers)
        for step in steps:
            newcomers.replace(step)
            reload(cluster)
            more(load, newcomers)
        for node in cluster.nodes[:2]:
            restart(cluster, node)
            more(load, newcomers)
    logs = "".join(program.log()[-2000:] for program in cluster.proxies)
    assert (load.failed, newcomers.failed) == ({}, []), logs
    for program in (*cluster.nodes, *cluster.proxies):
        prefix = "hsm_node" if program in cluster.nodes else "hsm_proxy"
        assert metric_of(program, f"{prefix}_configuration_last_reload_successful") == 1
    with pytest.raises(HsmError), sync.connect(outdated, timeout_s=2.0, retry=False) as hsm:
        hsm.key(key_id)
