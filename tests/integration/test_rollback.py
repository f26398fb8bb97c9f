"""Whoever can write the store shows nodes an older state of it, or leaves a record out: one living node has seen more.

node-1 runs all the time. While node-2 and node-3 are down the store is tampered with. Then node-2 starts with what it
has seen, and node-3 without: its seen.db is gone.
"""

import contextlib
import os
import re
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster
from hsmctl_forks import run_hsmctl_text
from programs import Program, get, wait_until

from hsm_client import connect
from hsm_client.errors import HsmError

pytestmark = pytest.mark.other_loop_in_system

SIGNATURES = 40
TRIES = 5
LACKS = "a node's store lacks what another node has seen"
DIFFER = "two nodes were shown different stores"
Statuses = Counter[str]


class Scene:
    """A cluster with two keys, one of which somebody is after."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.first, self.second, self.third = cluster.nodes
        self.kept = cluster.folder / "kept.db"
        self.name = b""
        self.old = b""

    def make_keys(self) -> None:
        """Make both, and keep a copy of the store as it is then."""

        async def make() -> tuple[str, str]:
            async with connect(self.cluster.client_config) as hsm:
                other = await hsm.generate_key("hmac-256", label="other")
                return other.id, (await hsm.generate_key("hmac-256", label="victim")).id

        self.other, self.victim = self.cluster.run(make)
        with contextlib.closing(sqlite3.connect(self.cluster.store)) as store:
            newest = "SELECT name, data FROM records ORDER BY revision DESC LIMIT 1"
            self.name, self.old = store.execute(newest).fetchone()
            with contextlib.closing(sqlite3.connect(self.kept)) as kept:
                store.backup(kept)

    def change(self, *, destroy: bool) -> None:
        """Destroy or disable the key, and let each node see it; then only node-1 is left."""

        async def main() -> None:
            async with connect(self.cluster.client_config) as hsm:
                key = await hsm.key(self.victim)
                await (key.destroy() if destroy else key.disable())

        self.cluster.run(main)
        revisions = {node.status()["applied_revision"] for node in self.cluster.nodes}
        assert len(revisions) == 1, "each node looks into the store when it is asked"
        for node in (self.second, self.third):
            node.terminate()
        (self.cluster.folder / "state" / self.third.name / "seen.db").unlink()

    def store(self, statement: str, *values: object) -> None:
        with contextlib.closing(sqlite3.connect(self.cluster.store)) as store, store:
            store.execute(statement, values)

    def start(self) -> None:
        """Start both, and wait until the proxy has heard of them."""
        self.before = len(self.cluster.proxy.log())
        for node in (self.second, self.third):
            node.start()
        wait_until(
            lambda: all(self.seen(node)["state"] in ("up", "stale") for node in (self.second, self.third)),
            lambda: f"both nodes are seen; the proxy's log:\n{self.log()[-3000:]}",
        )

    def log(self) -> str:
        return self.cluster.proxy.log()[self.before :]

    def seen(self, node: Program) -> dict[str, object]:
        """Return what the proxy says of a node."""
        (report,) = (it for it in self.cluster.proxy.status()["nodes"] if it["name"] == node.name)
        assert isinstance(report, dict)
        return report

    def states(self) -> list[str]:
        return [str(self.seen(node)["state"]) for node in self.cluster.nodes]

    def metric(self, name: str) -> float:
        _, page = get(self.cluster.proxy.admin_port, "/metrics")
        (value,) = re.findall(rf"^hsm_proxy_{re.escape(name)} (\S+)$", page.decode(), re.MULTILINE)
        return float(value)

    def hsmctl_status(self) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "HSM_CLIENT_CONFIG": str(self.cluster.client_config)}
        return run_hsmctl_text("status", environment=environment)

    def use_both(self, better: Program) -> tuple[Statuses, Statuses]:
        """Sign often with each key while a node is up that knows better than node-3; return the statuses: those of the
        key that somebody is after, and the other one's."""
        change = f'event="node changed" node={better.name} '
        for _ in range(TRIES):
            wait_until(
                lambda: self.seen(better)["state"] == "up", lambda: f"{better.name} is up:\n{self.log()[-3000:]}"
            )
            begun = len(self.cluster.proxy.log())
            found = self._use_both()
            # On a busy machine it may be out for a moment: then any other one serves.
            if change not in self.cluster.proxy.log()[begun:]:
                return found
        raise AssertionError(f"{better.name} does not stay up:\n{self.log()[-3000:]}")

    def _use_both(self) -> tuple[Statuses, Statuses]:
        async def main() -> tuple[Statuses, Statuses]:
            found = Counter[str](), Counter[str]()
            config = self.cluster.client_config
            # The first is not sent again: each of its failures would take a whole deadline.
            async with connect(config, retry=False) as one, connect(config, timeout_s=5.0) as another:
                for _ in range(SIGNATURES):
                    for hsm, key_id, statuses in zip((one, another), (self.victim, self.other), found, strict=True):
                        try:
                            await (await hsm.key(key_id)).sign(b"data", "hmac-sha256")
                            statuses["OK"] += 1
                        except HsmError as error:
                            statuses[error.status_name] += 1
            return found

        return self.cluster.run(main)

    def assert_found(self, lines: list[tuple[str, str]]) -> None:
        """Check that node-3 is named and never took part, and that another key goes on."""
        assert self.seen(self.third)["state"] == "stale"
        assert self.seen(self.third)["outdated"] is True
        assert not re.search(r'event="node changed" node=node-3 [^\n]*after=up', self.log()), self.log()
        for text, names in lines:
            said = rf'level=error[^\n]*event="{re.escape(text)}" {names}'
            wait_until(lambda said=said: re.search(said, self.log()) is not None, self.log)  # type: ignore[misc]
        assert self.metric('node_store_fault{fault="behind",node="node-3"}') == 1.0
        assert self.metric("store_disagreements") >= 2.0
        told = self.hsmctl_status()
        assert told.returncode == 0, told.stderr
        assert re.search("node-3 does not serve: (its store is at|it lacks)", told.stdout), told.stdout


@pytest.fixture
def scene(make_cluster: Callable[..., Cluster]) -> Scene:
    made = Scene(make_cluster())
    made.make_keys()
    return made


def test_an_older_copy_of_the_store_is_found_by_a_node_that_has_seen_more(scene: Scene) -> None:
    scene.change(destroy=False)
    for end in ("-wal", "-shm"):
        Path(f"{scene.cluster.store}{end}").unlink(missing_ok=True)
    scene.kept.replace(scene.cluster.store)
    scene.start()
    # node-1 holds the file that was taken away from under it; node-2 refuses what it has seen newer, and serves.
    wait_until(lambda: scene.states() == ["stale", "up", "stale"], lambda: f"the states are {scene.states()}")
    victim, other = scene.use_both(scene.second)
    assert set(victim) <= {"KEY_DISABLED", "RECORD_DAMAGED"}, victim
    assert set(other) == {"OK"}, other
    scene.assert_found([(LACKS, "node=node-2 "), (LACKS, "node=node-3 "), (DIFFER, "")])
    assert scene.seen(scene.second)["outdated"] is False
    assert "has seen revision" in str(scene.seen(scene.second)["store_fault"])


def test_a_record_that_was_left_out_is_found_by_a_node_that_has_seen_it(scene: Scene) -> None:
    scene.change(destroy=False)
    scene.store("DELETE FROM records WHERE name = ?", scene.name)
    # A change later: the last revision alone tells nothing.
    scene.cluster.run(lambda: relabelled(scene))
    scene.start()
    victim, other = scene.use_both(scene.first)
    assert set(victim) <= {"KEY_DISABLED", "RECORD_DAMAGED"}, victim
    assert set(other) == {"OK"}, other
    scene.assert_found([(LACKS, "node=node-3 "), (DIFFER, 'nodes="node-[12], node-3"')])
    assert scene.seen(scene.second)["store_fault"] == "its content is not that of node-3"


def test_a_destroyed_key_that_was_put_back_is_found_by_a_node_that_has_seen_its_end(scene: Scene) -> None:
    scene.change(destroy=True)
    scene.store("UPDATE cluster SET revision = revision + 1")
    scene.store(
        "UPDATE records SET data = ?, revision = (SELECT revision FROM cluster) WHERE name = ?", scene.old, scene.name
    )
    scene.start()
    victim, other = scene.use_both(scene.first)
    assert set(victim) <= {"KEY_NOT_FOUND", "RECORD_DAMAGED"}, victim
    assert set(other) == {"OK"}, other
    scene.assert_found([(LACKS, "node=node-3 "), (DIFFER, 'nodes="node-[12], node-3"')])
    # Where nobody else is left, it serves: it is better than nothing, and known to be old.
    for node in (scene.first, scene.second):
        node.terminate()
    wait_until(lambda: scene.states() == ["down", "down", "stale"], lambda: f"the states are {scene.states()}")
    _, other = scene._use_both()
    assert set(other) == {"OK"}, other


async def relabelled(scene: Scene) -> None:
    """Change the other key."""
    async with connect(scene.cluster.client_config) as hsm:
        await (await hsm.key(scene.other)).update(label="another")
