"""A proxy with two workers, as real processes."""

import asyncio
import os
import signal
import socket
import urllib.request

import pytest
from proxy_daemon import Daemon, alive

from hsm_client import connect
from hsm_cluster.address import Address
from hsm_cluster.errors import ConfigurationError
from hsm_daemon.errors import StartError
from hsm_daemon.listening import bind
from proxy.config import load_config
from proxy.workers import messages
from proxy.workers.parent import Parent

WORKERS = "workers = 2\n"
CLIENTS = 8


@pytest.fixture
async def daemon(stage):
    for name in ("node-1", "node-2"):
        await stage.add_node(name)
    stage.write(f"{WORKERS}[limits]\nshutdown_s = 2.0\n")
    made = Daemon(stage)
    yield made
    await made.close()


def pids(daemon):
    return [row["pid"] for row in (daemon.status() or {"workers": []})["workers"]]


def all_serve(daemon):
    rows = (daemon.status() or {"workers": []})["workers"]
    return bool(rows) and all(row["state"] == "serving" for row in rows)


def metric(daemon, name):
    with urllib.request.urlopen(f"http://{daemon.admin}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.partition("{")[0].split()[0] == name)


async def test_two_workers_are_one_proxy(daemon, stage):
    daemon.start()
    await daemon.ready()
    parent, workers = await daemon.pid(), await asyncio.to_thread(pids, daemon)
    assert len({parent, *workers}) == 3
    client = stage.folder / "client.toml"
    client.write_text(f'proxies = ["{daemon.address}"]\ntls = "off"\n')
    done, over = 0, asyncio.Event()

    async def load(hsm):
        nonlocal done
        while not over.is_set():
            await hsm.random(16)
            done += 1

    async def served(more):
        wanted = done + more
        await daemon.until(lambda: done >= wanted)

    # Through both, evenly; what all of them count is what was asked.
    async with connect(client, pool_size=CLIENTS) as hsm:
        await asyncio.gather(*(hsm.random(16) for _ in range(40 * CLIENTS)))
        await daemon.until(lambda: sum(row["clients"] for row in daemon.status()["workers"]) == CLIENTS)
        rows = (await asyncio.to_thread(daemon.status))["workers"]
        assert min(row["clients"] for row in rows) >= CLIENTS // 4, "each has its part"
        assert await asyncio.to_thread(metric, daemon, "hsm_proxy_requests_total") == 40 * CLIENTS
        assert await asyncio.to_thread(metric, daemon, "hsm_proxy_clients") == CLIENTS
        assert await asyncio.to_thread(metric, daemon, "hsm_proxy_worker_up") == 2
        await daemon.until(lambda: daemon.status()["clients"] == CLIENTS)

        async with asyncio.TaskGroup() as group:
            for _ in range(2 * CLIENTS):
                group.create_task(load(hsm))
            await served(100)
            # One dies under load: nobody's request fails, and there are two again.
            os.kill(workers[1], signal.SIGKILL)
            await daemon.until(lambda: daemon.lines("a worker has ended"))
            await daemon.until(lambda: all_serve(daemon) and pids(daemon) != workers)
            await served(100)
            # A reload reaches both.
            await stage.add_node("node-3")
            stage.write(f"{WORKERS}[limits]\nshutdown_s = 2.0\n")
            os.kill(parent, signal.SIGHUP)
            await daemon.until(lambda: len(daemon.lines("configuration loaded")) == 2)
            await served(100)
            # A bad one reaches none, and a worker that starts meanwhile is like the other one.
            (stage.folder / "proxy.toml").write_text("nonsense = 1\n")
            os.kill(parent, signal.SIGHUP)
            await daemon.until(lambda: daemon.lines("reload failed; everything stays as it was"))
            os.kill((await asyncio.to_thread(pids, daemon))[0], signal.SIGKILL)
            await daemon.until(lambda: len(daemon.lines("a worker has ended")) == 2 and all_serve(daemon))
            await served(100)
            over.set()
    status = await asyncio.to_thread(daemon.status)
    assert (status["pid"], len(status["nodes"]), [row["restarts"] for row in status["workers"]]) == (parent, 3, [1, 1])
    shown = [event["what"] for event in status["events"]]
    assert "worker 2 has ended (exit code -9) and is started again" in shown
    assert len(shown) == len(set(shown)), "what both have seen is shown once"
    lines = daemon.lines("node changed")
    assert {"worker=1", "worker=2"} <= {word for line in lines for word in line.split()}
    left = await asyncio.to_thread(pids, daemon)
    os.kill(parent, signal.SIGTERM)
    await daemon.until(lambda: daemon.ended() is not None)
    assert daemon.ended() == 0
    assert not any(alive(pid) for pid in left)
    assert "killed" not in daemon.log.read_text()


@pytest.fixture
async def parent(stage):
    stage.with_tls()
    await stage.add_node("node-1")
    made = Parent(load_config(stage.write(WORKERS)), {}, succeeds=False)
    yield made
    await made.stop()


class Deaf:
    """A crew that keeps what it is told."""

    def __init__(self):
        self.told = []
        self.leaving = False
        self.sources = None

    def tell_all(self, message):
        self.told.append(message)

    def reload(self, sources):
        self.sources = sources

    async def stop(self, limit_s):
        self.leaving = True


async def test_a_configuration_is_checked_before_any_worker_hears_of_it(parent, stage):
    parent.crew = crew = Deaf()
    path = stage.write(f"{WORKERS}[limits]\nclients = 9\n")
    parent.reload()
    assert crew.sources == load_config(path).sources
    assert parent.config.file.limits.clients == 9
    crew.sources = None
    path.write_text("nonsense = 1\n")
    with pytest.raises(ConfigurationError, match="nonsense"):
        parent.reload()
    assert (crew.sources, crew.told) == (None, [messages.Reload(None)])
    stage.write(WORKERS)
    crew.leaving = True
    with pytest.raises(StartError, match="is stopping"):
        parent.reload()
    assert crew.sources is None


async def test_the_line_for_systemd_says_how_many_serve(parent):
    assert parent.status() == f"listening on {parent.address}; 0 of 2 workers serve; 0 of 1 nodes in rotation"


async def test_an_address_that_is_in_use_is_said_and_no_worker_is_left(parent, stage):
    taken = bind("127.0.0.1", 0, 1)
    with taken:
        used = Address(*taken.getsockname()[:2])
        path = stage.write(WORKERS)
        path.write_text(path.read_text().replace('listen = "127.0.0.1:0"', f'listen = "{used}"'))
        with pytest.raises(StartError, match="cannot listen on"):
            await Parent(load_config(path), {}, succeeds=False).start(asyncio.Event())


async def test_what_was_inherited_is_served_and_handed_on(stage):
    await stage.add_node("node-1")
    with socket.create_server(("127.0.0.1", 0)) as client:
        parent = Parent(load_config(stage.write(WORKERS)), {"client": client}, succeeds=True)
        parent.crew.start = lambda listener: None
        stopping = asyncio.Event()
        stopping.set()
        await parent.start(stopping)
        assert parent.address == "{}:{}".format(*client.getsockname())
        assert set(parent.listeners()) == {"client", "admin"}
        await parent.stop(superseded=True)
