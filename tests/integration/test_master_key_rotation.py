"""The master key is rotated under load, and the node that does it is killed in the middle: nothing fails or is lost.

In the end the new master key alone opens everything, and the old one nothing.
"""

import asyncio
import itertools
import os
import random
import re
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from cluster import Cluster
from hsmctl_forks import run_hsmctl_text
from programs import Program, get, wait_until

from hsm_client import Hsm, connect
from hsm_client.errors import KeyNotFound
from hsm_client.keys import Key
from hsm_wire.administration import MasterKeyStatus, Report
from hsm_wire.messages import Empty
from hsm_wire.opcodes import Opcode

pytestmark = pytest.mark.other_loop_in_system

KEYS = 50
PACE = 20
"""Records a second, so that a rotation of KEYS and what the load makes takes long enough to be killed in the middle."""
WORKERS = 6
DATA = b"signed before, while and after"
MECHANISMS = {"ec-p256": "ecdsa-sha256", "ed25519": "eddsa", "hmac-256": "hmac-sha256"}
DEADLINE_S = 60.0


class Load:
    """Signs, makes, relabels and destroys keys, at once and all the time; keeps what failed."""

    def __init__(self, hsm: Hsm, keys: list[Key]) -> None:
        self._hsm = hsm
        self.keys = keys
        self.destroyed: list[str] = []
        self.signatures: dict[str, bytes] = {}
        self.done: Counter[str] = Counter()
        self.failed: list[str] = []
        self._stop = False
        self._numbers = itertools.count()

    async def run(self, meanwhile: Coroutine[Any, Any, None]) -> None:
        """Work until `meanwhile` has ended."""
        actions = [self.sign] * (WORKERS - 2) + [self.make_and_destroy, self.relabel]
        workers = [asyncio.ensure_future(self._repeat(action)) for action in actions]
        try:
            await meanwhile
        finally:
            self._stop = True
            await asyncio.gather(*workers)

    async def sign(self) -> None:
        """Sign with a key, and verify the last signature of it."""
        key = random.choice(self.keys)
        mechanism = MECHANISMS[key.type]
        before = self.signatures.get(key.id)
        if before is not None:
            await key.verify(DATA, before, mechanism)
        self.signatures[key.id] = await key.sign(DATA, mechanism)

    async def make_and_destroy(self) -> None:
        """Make two keys; one stays, one goes."""
        kept, gone = [await self._hsm.generate_key(random.choice(list(MECHANISMS))) for _ in range(2)]
        await gone.destroy()
        self.destroyed.append(gone.id)
        if len(self.keys) < 2 * KEYS:
            self.keys.append(kept)
        await asyncio.sleep(0.05)

    async def relabel(self) -> None:
        """Change a key."""
        await random.choice(self.keys).update(label=f"label-{next(self._numbers)}")

    async def _repeat(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while not self._stop:
            try:
                await action()
            except Exception as error:  # noqa: BLE001 - whatever a client sees is a failure of this test
                self.failed.append(f"{action.__name__}: {error!r}")
            else:
                self.done[action.__name__] += 1

    async def check(self, hsm: Hsm) -> None:
        """Every key that was made signs and verifies, also what was signed before; what was destroyed stays so."""
        for made in self.keys:
            key = await hsm.key(made.id)
            mechanism = MECHANISMS[key.type]
            for signature in filter(None, (self.signatures.get(key.id), await key.sign(DATA, mechanism))):
                await key.verify(DATA, signature, mechanism)
        for gone in self.destroyed:
            with pytest.raises(KeyNotFound):
                await hsm.key(gone)


class Rotation:
    """The operator's part."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.old = cluster.master_key
        self.new = cluster.folder / "next.key"
        self.new.touch(mode=0o600)
        self.new.write_text(secrets.token_hex(32) + "\n")

    def configure(self, node: Program, *, master: bool, following: bool) -> None:
        """Write a node's configuration: the old master key or the new one, and the new one as the next or not."""
        source = f'master_key = {{ file = "{self.old if master else self.new}" }}'
        more = f', next_master_key = {{ file = "{self.new}" }}' if following else ""
        self.cluster.write_node(node, keystore=f"{{ {source}{more} }}", limits=f"{{ rewraps_per_s = {PACE} }}")

    def ctl(self, *arguments: str, code: int = 0) -> str:
        """Run `hsmctl master-key` as the operator."""
        config = self.cluster.config_of("operator")
        done = run_hsmctl_text("--config", config, "master-key", *arguments, environment=os.environ)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    async def until(self, operator: Hsm, condition: Callable[[MasterKeyStatus], bool]) -> MasterKeyStatus:
        """Ask until the nodes say so."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition(seen := await operator.request(Opcode.MASTER_KEY_STATUS, Empty(), MasterKeyStatus)):
                await asyncio.sleep(0.1)
        return seen

    def busiest(self) -> Program:
        """Return the node that has put most records under the new key."""
        return max(self.cluster.nodes, key=lambda node: number(node, "records_rewrapped_total"))

    async def run(self, load: Load) -> None:
        """Give every node the next key, rotate, and kill the node that does it."""
        cluster = self.cluster
        assert "holds no next master key" in self.ctl("rotate", code=1)
        for node in cluster.nodes:
            self.configure(node, master=True, following=True)
            os.kill(node.pid, signal.SIGHUP)
        async with connect(cluster.config_of("operator")) as operator:
            await self.until(operator, lambda seen: all(len(node.held) == 2 for node in seen.nodes))
            report = await operator.request(Opcode.ROTATE_MASTER_KEY, Empty(), Report)
            assert "version 2" in report.lines[0]
            await self.until(operator, lambda seen: seen.version == 2 and 0 < seen.left < KEYS - PACE // 2)
            victim = self.busiest()
            victim.kill()
            before = await self.until(operator, lambda seen: seen.left > 0)
            assert not before.settled
            await self.until(operator, lambda seen: seen.left == 0)  # Another node goes on, of its own accord.
            victim.start()
            await asyncio.to_thread(victim.wait_ready)
            seen = await self.until(operator, lambda seen: seen.settled)
        assert (seen.left, seen.refused) == (0, 0)
        assert sum(number(node, "records_rewrapped_total") for node in cluster.nodes if node is not victim) > 0
        assert load.done["make_and_destroy"] > 3


def number(node: Program, name: str) -> float:
    """Return one of a node's numbers; 0 where it does not answer."""
    _, page = get(node.admin_port, "/metrics")
    found = re.search(rf"(?m)^hsm_node_{name} (\S+)$", page.decode())
    return float(found[1]) if found else 0.0


def test_no_request_fails_and_no_key_is_lost(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(started=False)
    rotation = Rotation(cluster)
    for node in cluster.nodes:
        rotation.configure(node, master=True, following=False)
    cluster.start()

    async def main() -> None:
        async with connect(cluster.client_config) as hsm:
            types = itertools.cycle(MECHANISMS)
            load = Load(hsm, [await hsm.generate_key(next(types)) for _ in range(KEYS)])
            await hsm.create_object("data", b"kept beside", label="object")
            await load.run(rotation.run(load))
            assert load.failed == []
            await load.check(hsm)
            await asyncio.to_thread(leave_the_old_key, rotation)
            await load.check(hsm)
            assert await (await hsm.object("object")).value() == b"kept beside"

    cluster.run(main)


def leave_the_old_key(rotation: Rotation) -> None:
    """Have one node forget it while it runs, restart the others with the new one; with the old one none starts."""
    cluster = rotation.cluster
    running, *others = cluster.nodes
    rotation.configure(running, master=False, following=False)
    os.kill(running.pid, signal.SIGHUP)
    for node in others:
        assert node.terminate() == 0
        rotation.configure(node, master=True, following=False)
        refused = node.run_to_end()
        assert refused.returncode == 2
        assert "under a newer master key" in refused.stderr
        assert refused.stderr.count("\n") == 1
        rotation.configure(node, master=False, following=False)
        node.start()
        node.wait_ready()
    cluster.wait_in_rotation()
    text = rotation.ctl("status")
    assert "version 2" in text
    fingerprint = re.search(r"fingerprint (\w+)", text)
    assert fingerprint is not None
    wait_until(
        lambda: all(
            f"{node.name}\t{fingerprint[1]}\t{fingerprint[1]}" in rotation.ctl("status") for node in cluster.nodes
        ),
        lambda: rotation.ctl("status"),
    )
