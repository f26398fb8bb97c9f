"""A cluster in which one node's keys live in a device: what any node makes, every node uses, and openssl agrees."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster
from hsmctl_forks import run_hsmctl_text
from programs import wait_until
from softhsm import SoftHsm

from hsm_client import connect
from hsm_client.errors import HsmError

pytestmark = pytest.mark.other_loop_in_system


def give_token(cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give node-3 a token with the cluster's master key, from its next start on."""
    tokens = SoftHsm(folder / "softhsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tokens.configuration))
    cluster.write_node(cluster.nodes[2], **tokens.settings_for(cluster, cluster.nodes[2]))


@pytest.fixture
def mixed(make_cluster: Callable[..., Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Two nodes in software and one with a token that has the same master key."""
    cluster = make_cluster(started=False)
    give_token(cluster, tmp_path, monkeypatch)
    cluster.start()
    return cluster


def openssl_verifies(folder: Path, public: bytes, data: bytes, signature: bytes) -> bool:
    for name, content in (("public.pem", public), ("data", data), ("signature", signature)):
        (folder / name).write_bytes(content)
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "data"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return "Verified OK" in done.stdout


def test_a_key_signs_on_every_node_whichever_made_it_and_openssl_verifies(mixed: Cluster, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    async def main() -> None:
        async with connect(mixed.client_config) as hsm:
            for number in range(4):
                key_type = "ec-p256" if number % 2 else "rsa-2048"
                mechanism = "ecdsa-sha256" if number % 2 else "rsa-pkcs1-sha256"
                key = await hsm.generate_key(key_type, label=f"{number}")
                public = (await key.public_key()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                for turn in range(6):
                    data = f"{number} {turn}".encode()
                    signature = await key.sign(data, mechanism)
                    assert openssl_verifies(tmp_path, public, data, signature)

    mixed.run(main)
    assert min(mixed.node_requests().values()) > 0


def test_a_node_whose_device_cannot_use_what_is_stored_serves_when_that_is_gone(
    make_cluster: Callable[..., Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster()

    def seen() -> dict[str, str]:
        """Return node-3 as the proxy sees it."""
        return {node["name"]: node for node in cluster.proxy.status()["nodes"]}["node-3"]

    async def make_key() -> None:
        async with connect(cluster.client_config) as hsm:
            await hsm.generate_key("ed25519", label="edwards")

    async def use_and_destroy() -> None:
        async with connect(cluster.client_config) as hsm:
            assert "ed25519" in (await hsm.info()).key_types
            key = await hsm.key("edwards")
            for turn in range(6):
                await key.sign(str(turn).encode(), "eddsa")
            await key.destroy()

    async def see_what_is_offered() -> None:
        async with connect(cluster.client_config) as hsm:
            async with asyncio.timeout(60):  # node-3 has said in the store what it can do, or does so now
                while "ed25519" in (info := await hsm.info()).key_types:
                    await asyncio.sleep(0.05)
            assert "ec-p256" in info.key_types
            assert "CKM_EDDSA" not in {mechanism.name for mechanism in info.mechanisms}
            with pytest.raises(HsmError) as refused:
                await hsm.generate_key("ed25519")
            assert refused.value.status_name == "MECHANISM_NOT_HERE"

    cluster.run(make_key)
    cluster.nodes[2].kill()
    give_token(cluster, tmp_path, monkeypatch)
    cluster.nodes[2].start()
    wait_until(lambda: seen()["state"] == "lacking", lambda: f"node-3 lacking: {seen()}")
    assert seen()["reason"] == "it cannot use keys of type ed25519 (1 stored)"
    before = cluster.node_requests()["node-3"]
    cluster.run(use_and_destroy)
    assert cluster.node_requests()["node-3"] == before
    cluster.wait_in_rotation()
    cluster.run(see_what_is_offered)
    environment = {**os.environ, "HSM_CLIENT_CONFIG": str(cluster.client_config)}
    status = run_hsmctl_text("status", environment=environment)
    assert "assurance of software: node-1, node-2 hold the master key in software" in status.stdout
    document = json.loads(run_hsmctl_text("status", "--json", environment=environment).stdout)
    assert document["assurance"] == {"level": "software", "software_nodes": ["node-1", "node-2"]}


def test_a_key_that_only_one_device_has_is_used_there(
    make_cluster: Callable[..., Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster(started=False)
    tokens = SoftHsm(tmp_path / "softhsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tokens.configuration))
    settings = tokens.settings_for(cluster, cluster.nodes[2])
    adopt = 'adopt = [{ object = "legacy", partition = 1 }]'
    cluster.write_node(cluster.nodes[2], **{**settings, "backend": settings["backend"][:-1] + f", {adopt} }}"})
    tokens.make_edwards_pair(settings["backend"], "legacy")
    cluster.start()
    environment = {**os.environ, "HSM_CLIENT_CONFIG": str(cluster.client_config)}
    words = ["key", "adopt", "--type", "ed25519", "--object", "legacy", "--label", "old"]
    adopted = run_hsmctl_text(*words, environment=environment)
    assert adopted.returncode == 0, adopted.stderr
    assert "node-3 alone has this key; not replicated" in adopted.stderr
    shown = run_hsmctl_text("key", "show", "old", environment=environment).stdout
    assert "adopted" in shown
    assert "node-3, and not replicated" in shown

    async def main() -> None:
        async with connect(cluster.client_config) as hsm:
            key = await hsm.key("old")
            for turn in range(6):
                data = str(turn).encode()
                await key.verify(data, await key.sign(data, "eddsa"), "eddsa")
            with pytest.raises(HsmError) as refused:
                await hsm.adopt_key("ed25519", "another")
            assert refused.value.status_name == "MECHANISM_NOT_HERE"

    cluster.run(main)
    assert cluster.states() == {"node-1": "up", "node-2": "up", "node-3": "up"}, "nobody lacks it"
