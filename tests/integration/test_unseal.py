"""Nodes that wait for shares of their master key: there, in no rotation, and in it soon after enough people came."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster
from hsmctl_forks import run_hsmctl_text
from programs import Program, get, wait_until
from raw import BIND, RawConnection, frame

from hsm_client import connect
from hsm_client.errors import HsmError

pytestmark = pytest.mark.other_loop_in_system

SHARES = '{ backend = "software", master_key = { shares = {} } }'
UNSEAL = 0x040D
DENIED = 0x0201
NOT_CURRENT = 0x0605


def hsmctl(*arguments: object, data: str = "", code: int = 0) -> str:
    """Run `hsmctl unseal ...`; return what it printed, or what it said where it is to fail."""
    done = run_hsmctl_text("unseal", *arguments, environment=os.environ, data=data)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


class Sealed:
    """A cluster whose first node has the master key's file; the others wait for two of three shares."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.shares = self.split("--master-key", cluster.master_key)
        self.first, *self.others = cluster.nodes
        for node in self.others:
            cluster.write_node(node, keystore=SHARES)

    def split(self, *options: object) -> list[str]:
        folder = self.cluster.folder / f"shares-{len(list(self.cluster.folder.glob('shares-*')))}"
        hsmctl("split", "--threshold", 2, "--shares", 3, "--out-dir", folder, *options)
        return [file.read_text() for file in sorted(folder.iterdir())]

    def start(self) -> None:
        for program in (*self.cluster.nodes, *self.cluster.proxies):
            program.start()
        self.first.wait_ready()
        self.cluster.proxy.wait_ready()
        self.wait_for("up", "sealed", "sealed")

    def wait_for(self, *states: str) -> None:
        wanted = dict(zip((node.name for node in self.cluster.nodes), states, strict=True))
        wait_until(lambda: self.cluster.states() == wanted, lambda: f"{wanted}: {self.cluster.states()}")

    def socket(self, node: Program) -> Path:
        return self.cluster.folder / "state" / node.name / "admin.sock"

    def give(self, node: Program, share: str, code: int = 0) -> str:
        return hsmctl("--socket", self.socket(node), data=share, code=code)

    def unseal(self, node: Program) -> None:
        assert "1 more share is needed" in self.give(node, self.shares[2])
        assert self.give(node, self.shares[0]) == f"{node.name} is unsealed\n"
        node.wait_ready()


@pytest.fixture
def sealed(make_cluster: Callable[..., Cluster]) -> Sealed:
    made = Sealed(make_cluster(3, started=False))
    made.start()
    return made


def test_sealed_nodes_serve_nobody_until_enough_shares_came_and_again_after_a_restart(sealed: Sealed) -> None:
    cluster, (two, three) = sealed.cluster, sealed.others
    keys: list[str] = []

    async def use() -> None:
        async with connect(cluster.client_config) as hsm:
            if not keys:
                keys.append((await hsm.generate_key("ec-p256")).id)
            key = await hsm.key(keys[0])
            for _ in range(30):
                await key.sign(b"data", "ecdsa-sha256")

    cluster.run(use)
    served = cluster.node_requests()
    assert (served[two.name], served[three.name]) == (0, 0)
    assert get(two.admin_port, "/readyz")[0] == 503
    assert two.status()["shares"] == {"given": 0, "needed": None}

    sealed.unseal(two)
    sealed.wait_for("up", "up", "sealed")
    sealed.unseal(three)
    sealed.wait_for("up", "up", "up")
    sealed.first.kill()
    cluster.run(use)
    served = cluster.node_requests()
    assert served[two.name] > 0
    assert served[three.name] > 0
    assert two.status()["state"] == "up"

    three.terminate()
    assert not sealed.socket(three).exists()
    three.start()
    sealed.first.start()
    sealed.wait_for("up", "up", "sealed")
    sealed.unseal(three)
    sealed.wait_for("up", "up", "up")


def test_what_does_not_fit_leaves_the_node_sealed_and_says_why(sealed: Sealed) -> None:
    two = sealed.others[0]
    one, _, three = sealed.shares
    other = sealed.split()

    slipped = " ".join([*one.split()[:-1], "academic" if one.split()[-1] != "academic" else "acid"])
    assert "checksum" in sealed.give(two, slipped, code=1)
    assert "1 more share is needed" in sealed.give(two, three)
    assert "1 more share is needed" in sealed.give(two, three)
    assert "is of set" in sealed.give(two, other[0], code=1)
    assert two.status()["shares"] == {"given": 1, "needed": 2}
    assert "are forgotten" in hsmctl("forget", "--socket", sealed.socket(two))

    sealed.give(two, other[0])
    said = sealed.give(two, other[2], code=1)
    assert "stays sealed" in said
    assert "the master key is not the one" in said
    assert two.status()["shares"]["given"] == 0
    metrics = get(two.admin_port, "/metrics")[1].decode()
    assert "hsm_node_unseal_failures_total 1.0" in metrics
    assert "hsm_node_unseal_shares_refused_total 1.0" in metrics
    assert "hsm_node_sealed 1.0" in metrics
    sealed.unseal(two)
    sealed.wait_for("up", "up", "sealed")
    said = two.log() + sealed.cluster.proxy.log()
    for share in (*sealed.shares, *other, slipped):
        assert " ".join(share.split()[4:8]) not in said
    assert sealed.cluster.master_key.read_text().strip() not in said


def test_a_share_over_the_network_is_refused_by_sealed_and_open_nodes(sealed: Sealed) -> None:
    cluster = sealed.cluster
    share = sealed.shares[0].encode()
    with RawConnection(cluster.proxy.port, cluster.operator) as operator:
        answer = operator.request(UNSEAL, [share])
    assert answer.status == DENIED
    assert "network" in answer.detail
    for node in (sealed.first, sealed.others[0]):
        with RawConnection(node.port, cluster.proxy_identity) as proxy:
            proxy.send(frame(BIND, [7, "spiffe://test/operator/operator", 0, ["operate"], b"", 0]))
            assert proxy.request(UNSEAL, [share], principal=7).status == DENIED
    with RawConnection(sealed.others[0].port, cluster.proxy_identity) as proxy:
        proxy.send(frame(BIND, [7, "spiffe://test/client/app", 1, ["use"], b"", 0]))
        answer = proxy.request(0x0002, [16], principal=7)
        assert (answer.status, answer.flags) == (NOT_CURRENT, 1)
    assert sealed.others[0].status()["shares"]["given"] == 0


def test_while_all_are_sealed_clients_are_told_so_and_served_soon_after(sealed: Sealed) -> None:
    cluster, two = sealed.cluster, sealed.others[0]
    sealed.first.terminate()
    sealed.wait_for("down", "sealed", "sealed")

    async def ask(timeout_s: float) -> int:
        async with connect(cluster.client_config, timeout_s=timeout_s) as hsm:
            return len(await hsm.random(16))

    with pytest.raises(HsmError, match="no HSM node can be reached"):
        cluster.run(lambda: ask(1.0))
    sealed.unseal(two)
    assert cluster.run(lambda: ask(10.0)) == 16
    assert json.loads(hsmctl("--socket", sealed.socket(two), "--json", data=sealed.shares[1])) == {
        "sealed": False,
        "lines": [f"{two.name} is not sealed"],
    }
