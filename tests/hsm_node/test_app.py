"""The daemon as a process: how it starts, refuses to start, and stops."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsm_node.store.base import StoreError
from hsm_wire import kinds
from hsm_wire.messages import GenerateKey
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "hsm_node.cli", "--config"]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_says_where_it_serves_and_leaves_with_0_on_sigterm(node_folder: Path, loop: str) -> None:
    process = subprocess.Popen(
        [*COMMAND, node_folder / "node.toml"], cwd=ROOT, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "HSM_EVENT_LOOP": loop},
    )  # fmt: skip
    assert process.stderr is not None
    line = process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert "event=ready" in line
    assert "address=127.0.0.1:" in line
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_node_of_the_disaster_recovery_site_says_that_it_stands_by(node_folder: Path, authority: Any) -> None:
    file = node_folder / "cluster.toml"
    text = file.read_text().replace('"sandbox"', '"dedicated"')
    text = text.replace('risk_zone = "local"', 'role = "disaster-recovery"\nrisk_zone = "local"')
    text = text.replace('uplinks = ["lo"]', 'uplinks = ["lo", "lo-2"]')
    text = text.replace('site = "local"', 'site = "alps"').replace('name = "local"', 'name = "alps"')
    others = "".join(
        f'[[nodes]]\nname = "node-{n}"\nsite = "s{n}"\npaths = [{{ uplink = "lo", address = "127.0.0.1:242{n}" }}]\n'
        f'[[sites]]\nname = "s{n}"\nrisk_zone = "z{n}"\nlatitude = {n}\nlongitude = 8\nuplinks = ["lo", "lo-2"]\n'
        for n in (2, 3)
    )
    file.write_text(text.replace("[[partitions]]", others + "[[partitions]]"))
    authority.issue("spiffe://dev/node/node-1", "node")
    node = node_folder / "node.toml"
    node.write_text(
        node.read_text().replace('"off"', '{ ca = "ca.pem", certificate = "node.pem", key = "node-key.pem" }')
    )
    process = subprocess.Popen([*COMMAND, node_folder / "node.toml"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    try:
        admin = line.split("admin=")[1].split()[0]
        with urllib.request.urlopen(f"http://{admin}/status", timeout=10) as answer:
            assert json.load(answer)["state"] == "standby"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def wrong_key(folder: Path) -> None:
    ran_before(folder)
    (folder / "master.key").write_text("11" * 32)


def damaged(folder: Path) -> None:
    (folder / "store.db").write_bytes(b"x" * 5000)


def ran_before(folder: Path) -> None:
    first = subprocess.Popen([*COMMAND, folder / "node.toml"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    first.stderr.readline()
    first.terminate()
    first.communicate(timeout=20)


def another_store(folder: Path) -> None:
    ran_before(folder)
    state = folder / "state" / "node-1"
    kept = (state / "store.json").read_bytes()
    (folder / "store.db").unlink()
    (state / "store.json").unlink()
    ran_before(folder)
    (state / "store.json").write_bytes(kept)


def older_epoch(folder: Path) -> None:
    ran_before(folder)
    file = folder / "state" / "node-1" / "store.json"
    file.write_text(file.read_text().replace('"epoch":1', '"epoch":2'))


def lost_store(folder: Path) -> None:
    ran_before(folder)
    (folder / "store.db").unlink()


def no_certificate(folder: Path) -> None:
    file = folder / "node.toml"
    file.write_text(file.read_text().replace('"off"', '{ ca = "ca.pem", certificate = "n.pem", key = "n-key.pem" }'))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (wrong_key, "master key"),
        (damaged, "damaged"),
        (no_certificate, "is missing"),
        (another_store, "cluster id"),
        (older_epoch, "epoch 1, this node has seen 2"),
        (lost_store, "store that this node used is missing"),
    ],
)
def test_what_cannot_start_exits_2_with_one_line_and_writes_nothing(
    node_folder: Path, harm: Callable[[Path], None], said: str
) -> None:
    harm(node_folder)
    before = contents(node_folder)
    done = subprocess.run([*COMMAND, node_folder / "node.toml"], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
    assert contents(node_folder) == before


async def test_that_it_has_stopped_is_said_when_everything_is_answered_and_nothing_is_served_any_more(
    start_node: Callable[..., Any],
) -> None:
    node = start_node()
    client = await node.client()
    key, ended = os.urandom(16), []

    def stopped() -> None:
        ended.append(node.node._acceptor.proxies)
        raise StoreError("away")  # It ends all the same.

    node.store.stopped = stopped
    client.request(Opcode.GENERATE_KEY, GenerateKey(key, "rsa-2048"))
    while not node.keystore.generation.waiting + node.keystore.generation.running:
        await asyncio.sleep(0.001)
    node.lifecycle.stopping.set()
    frames = []
    with contextlib.suppress(EOFError):
        while True:
            frames.append(await client.frame())
    await asyncio.wait_for(node.task, 10)
    assert [frame.status for frame in frames if frame.kind == kinds.RESPONSE] == [Status.OK]
    assert ended == [0]
