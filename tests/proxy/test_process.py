"""A proxy as a real process: hot restarts under load, reload by signal, sockets from systemd, --check."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
from proxy_daemon import LIMIT_S, Daemon, alive

from hsm_client import connect
from hsm_cluster.address import Address
from proxy.process import _fits

RESTARTS = 3
ACTIVATED = """
import os, sys
for number, inherited in zip((3, 4), sys.argv[1:3]):
    os.dup2(int(inherited), number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="client:admin")
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


@pytest.fixture(params=["asyncio", "uvloop"])
async def daemon(stage, request, monkeypatch):
    monkeypatch.setenv("HSM_EVENT_LOOP", request.param)
    for name in ("node-1", "node-2"):
        await stage.add_node(name)
    stage.write()
    made = Daemon(stage)
    yield made
    await made.close()


@pytest.mark.slow
async def test_hot_restarts_under_load_fail_no_request(daemon, stage):
    daemon.start()
    await daemon.ready()
    done, over = 0, asyncio.Event()

    async def load(hsm):
        nonlocal done
        while not over.is_set():
            await hsm.random(16)
            done += 1

    client = stage.folder / "client.toml"
    client.write_text(f'proxies = ["{daemon.address}"]\ntls = "off"\n')

    async def served(more):
        wanted = done + more
        await daemon.until(lambda: done >= wanted)

    async with connect(client, pool_size=4) as hsm, asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(load(hsm))
        pids = [await daemon.pid()]
        for _ in range(RESTARTS):
            os.kill(pids[-1], signal.SIGUSR2)
            await daemon.until(lambda: (daemon.status() or {}).get("pid", pids[-1]) != pids[-1])
            pids.append(await daemon.pid())
            await daemon.until(lambda: not alive(pids[-2]))
            await served(100)
        over.set()
    assert len(set(pids)) == RESTARTS + 1
    assert daemon.ended() == 0
    assert len(daemon.lines("stopped")) == RESTARTS
    assert "clients dropped" not in daemon.log.read_text()
    os.kill(pids[-1], signal.SIGTERM)
    await daemon.until(lambda: not alive(pids[-1]))


async def test_sighup_applies_a_good_configuration_and_keeps_the_old_one_when_it_is_bad(daemon, stage):
    daemon.start()
    await daemon.ready()
    pid = await daemon.pid()
    await stage.add_node("node-3")
    stage.write()
    os.kill(pid, signal.SIGHUP)
    await daemon.until(lambda: len((daemon.status() or {"nodes": []})["nodes"]) == 3)
    (stage.folder / "proxy.toml").write_text("nonsense = 1\n")
    os.kill(pid, signal.SIGHUP)
    await daemon.until(lambda: daemon.lines("reload failed; everything stays as it was"))
    assert await daemon.pid() == pid


async def test_sockets_of_systemd_are_served(daemon):
    with socket.create_server(("127.0.0.1", 0)) as client, socket.create_server(("127.0.0.1", 0)) as admin:
        numbers = [client.fileno(), admin.fileno()]
        daemon.start(["-c", ACTIVATED, *map(str, numbers)], pass_fds=numbers)
        addresses = ["{}:{}".format(*listener.getsockname()) for listener in (client, admin)]
        await daemon.ready()
    assert [daemon.address, daemon.admin] == addresses
    assert await daemon.pid() == daemon._process.pid


async def test_a_hot_restart_keeps_changed_addresses_as_they_were_and_says_so(daemon, stage):
    daemon.start()
    await daemon.ready()
    first = await daemon.pid()
    path = stage.folder / "proxy.toml"
    path.write_text(path.read_text().replace('listen = "127.0.0.1:0"', 'listen = "127.0.0.2:0"'))
    os.kill(first, signal.SIGUSR2)
    await daemon.until(lambda: (daemon.status() or {}).get("pid", first) != first)
    (line,) = daemon.lines("a changed address is not used before a full restart: stop and start")
    assert "setting=listen" in line
    assert "configured=127.0.0.2:0" in line
    assert f"inherited={daemon.address}" in line


@pytest.mark.parametrize(
    ("wanted", "bound", "fits"),
    [
        ("127.0.0.1:0", "127.0.0.1", True),
        ("localhost:0", "127.0.0.1", True),
        ("0.0.0.0:0", "0.0.0.0", True),
        ("127.0.0.2:0", "127.0.0.1", False),
        ("0.0.0.0:0", "127.0.0.1", False),
        ("127.0.0.1:1", "127.0.0.1", False),
        ("nowhere.invalid:0", "127.0.0.1", False),
    ],
)
def test_an_inherited_socket_fits_the_address_that_it_could_have_been_bound_to(wanted, bound, fits):
    with socket.create_server((bound, 0)) as sock:
        assert _fits(Address.parse(wanted), sock) is fits


@pytest.mark.parametrize("missing", ["ca.pem", "proxy-1.pem", "proxy-1-key.pem"])
def test_check_looks_at_the_certificates(stage, missing):
    stage.with_tls()
    stage.nodes.append(SimpleNamespace(name="node-1", port=1))
    stage.write()
    stage.nodes.clear()
    command = [sys.executable, "-m", "proxy.cli", "--check", "--config", str(stage.folder / "proxy.toml")]
    good = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    assert (good.returncode, json.loads(good.stdout)["name"]) == (0, "proxy-1")
    (stage.folder / missing).unlink()
    bad = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (bad.returncode, missing in bad.stderr, bad.stderr.count("\n")) == (2, True, 1)
