"""Three nodes, one member of the store: who is waited for, who is named, who is not (docs/consistency.md, rule 3)."""

import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from etcd import EtcdCluster
from hsmctl_forks import run_hsmctl_text
from programs import Program, get, wait_until
from scale import SLACK

from hsm_client import sync
from hsm_node.core.confirmations import WAIT_S

pytestmark = pytest.mark.alone

WITHIN_S = WAIT_S + 0.5 * SLACK
SOON_S = 1.0 * SLACK


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three nodes on one member."""
    etcd = EtcdCluster(tmp_path / "etcd", tls=True)
    folder = tmp_path / "nodes"
    folder.mkdir()
    made = Cluster(folder, "uvloop")
    try:
        etcd.start()
        for node in made.nodes:
            made.write_node(node, store=etcd.store_toml())
        made.start()
        yield made
    finally:
        made.stop()
        etcd.stop()


def test_a_node_that_hangs_is_named_one_that_is_back_confirms_and_one_that_stopped_is_not_waited_for(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    last = cluster.nodes[-1]

    def change(label: str) -> tuple[float, list[str]]:
        """Change the key; return how long that took, and what the client was told."""
        caplog.clear()
        begun = time.monotonic()
        key.update(label=label)
        took = time.monotonic() - begun
        print(label, round(took, 3), caplog.messages)
        return took, [text for text in caplog.messages if "not confirmed by" in text]

    def out_of_rotation() -> bool:
        return cluster.states()[last.name] == "down"

    with caplog.at_level(logging.WARNING, "hsm_client"), sync.connect(cluster.client_config) as hsm:
        key = hsm.generate_key("ec-p256")
        took, told = change("all of them")
        assert (took < SOON_S, told) == (True, [])
        os.kill(last.pid, signal.SIGSTOP)
        try:
            wait_until(out_of_rotation, lambda: str(cluster.states()))
            took, told = change("one hangs")
            assert WAIT_S - SOON_S < took < WITHIN_S
            assert told == [f"done, but not confirmed by {last.name}"]
            time.sleep(WAIT_S)  # For so long it has to be out before nobody waits for it.
            took, told = change("it is out")
            assert (took < SOON_S, told) == (True, [f"done, but not confirmed by {last.name}"])
        finally:
            os.kill(last.pid, signal.SIGCONT)
        cluster.wait_in_rotation()
        wait_until(lambda: change("it is back")[1] == [], lambda: "it confirms again")
        assert last.terminate() == 0
        took, told = change("it has stopped")
        assert (took < SOON_S, told) == (True, [])


def test_a_lost_node_that_is_removed_is_waited_for_and_named_no_more_and_one_that_is_alive_stays(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    first, alive, lost = cluster.nodes
    environment = {**os.environ, "HSM_CLIENT_CONFIG": str(cluster.config_of("operator"))}

    def remove(name: str) -> tuple[int, str]:
        done = run_hsmctl_text("node", "remove", name, environment=environment)
        return done.returncode, done.stdout + done.stderr

    def changed(label: str) -> bool:
        """Change the key; whether that was answered soon and named nobody."""
        caplog.clear()
        begun = time.monotonic()
        key.update(label=label)
        named = [text for text in caplog.messages if "not confirmed by" in text]
        print(label, round(time.monotonic() - begun, 3), named)
        return time.monotonic() - begun < SOON_S and not named

    def told_out() -> list[str]:
        """Return who is out as the proxy has it; the page, the command and the metric say so too."""
        status = cluster.proxy.status()
        text = run_hsmctl_text("status", environment=environment).stdout
        gauge = f'hsm_proxy_node_out{{node="{lost.name}"}} 1.0'
        metrics = get(cluster.proxy.admin_port, "/metrics")[1].decode()
        told = f"{lost.name} is out: it did not confirm a change"
        said = {told in text, any(told in problem for problem in status["problems"]), gauge in metrics}
        out: list[str] = status["nodes_out"]
        return out if said == {bool(out)} else ["they differ"]

    def configure(*nodes: Program, of: tuple[Program, ...]) -> None:
        cluster.nodes = list(nodes)
        cluster.write_topology()
        for program in of:
            os.kill(program.pid, signal.SIGHUP)
        wait_until(lambda: set(cluster.states()) == {node.name for node in nodes}, lambda: str(cluster.states()))

    with caplog.at_level(logging.WARNING, "hsm_client"), sync.connect(cluster.client_config) as hsm:
        key = hsm.generate_key("ec-p256")
        lost.kill()
        assert not changed("one is lost")
        wait_until(lambda: told_out() == [lost.name], first.log)
        code, text = remove(lost.name)
        assert (code, "is in cluster.toml" in text) == (1, True), text
        configure(first, alive, of=(first, alive, cluster.proxy))
        wait_until(lambda: remove(lost.name)[0] == 0, first.log)
        wait_until(lambda: changed("it is removed"), lambda: "nobody is named")
        wait_until(lambda: told_out() == [], first.log)
        assert "nothing to remove" in remove(lost.name)[1]
        configure(first, of=(first, cluster.proxy))
        code, text = remove(alive.name)
        assert (code, "is alive" in text) == (1, True), text
        configure(first, alive, lost, of=(first, alive, cluster.proxy))
        lost.start()
        lost.wait_ready()
        cluster.wait_in_rotation()
        wait_until(lambda: changed("it is back"), lambda: "all confirm")
