"""A worker's process: here in the test's own loop, with the test for a parent."""

import asyncio
import socket
from types import SimpleNamespace

import msgspec
import pytest

from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import Lifecycle
from hsm_daemon.listening import bind
from hsm_daemon.release import release
from proxy.config import load_config
from proxy.workers import messages
from proxy.workers.channel import open_channel, pair
from proxy.workers.messages import FromWorker
from proxy.workers.sums import Family
from proxy.workers.worker import FIGURES, Worker, configuration, run_worker

LIMIT_S = 20.0


class ParentOf:
    """Speaks to one worker, and keeps what it says."""

    def __init__(self, stage, sources, number=1):
        self.config = load_config(stage.folder / "proxy.toml", sources)
        self.begin = messages.Begin(number, 2, 100.0, False, sources, sources, [])
        self.said = []
        self.asked = 0
        self.life = Lifecycle()
        self.ended = asyncio.Event()

    async def start(self):
        ours, theirs = pair()
        self.listener = bind("127.0.0.1", 0, 16)
        self.address = self.listener.getsockname()[:2]
        self.channel = await open_channel(ours, FromWorker, self.said.append, self.ended.set)
        worker = self.worker = Worker(self.begin)
        self.task = asyncio.ensure_future(worker.run(self.config, theirs, self.listener, self.life))
        await self.until(messages.Serving)
        return self

    def tell(self, message):
        assert self.channel.send(message)

    def of(self, kind):
        return [message for message in self.said if isinstance(message, kind)]

    async def until(self, kind, accept=lambda _: True):
        async with asyncio.timeout(LIMIT_S):
            while True:
                for message in self.of(kind):
                    if accept(message):
                        return message
                await asyncio.sleep(0.01)

    async def page(self, path):
        self.asked += 1
        self.tell(messages.Ask(self.asked, path))
        return await self.until(messages.Page, lambda page: page.number == self.asked)

    async def close(self):
        self.life.stopping.set()
        async with asyncio.timeout(LIMIT_S):
            await self.task
            await self.ended.wait()


@pytest.fixture
async def parent(stage):
    for name in ("node-1", "node-2"):
        await stage.add_node(name)
    path = stage.write()
    made = await ParentOf(stage, load_config(path).sources).start()
    stage.app = SimpleNamespace(address="{}:{}".format(*made.address), stop=made.close)
    return made


async def test_a_worker_says_that_it_serves_how_it_is_and_what_it_does(parent, stage):
    assert parent.of(messages.Serving) == [messages.Serving(release())]
    await parent.until(messages.Beat, lambda beat: (beat.rotation, beat.unready, beat.has_room) == (2, "", True))
    assert {message.node for message in parent.of(messages.Changed)} == {"node-1", "node-2"}
    client = await stage.connect()
    client.ask(1)
    assert (await client.frame()).status == 0
    await parent.until(messages.Beat, lambda beat: beat.clients == 1)
    doing = await parent.until(messages.Doing, lambda doing: doing.load.requests == 1)
    assert (doing.load.clients, sum(node.requests for node in doing.load.nodes)) == (1, 1)


async def test_its_pages_are_asked_for_over_the_channel(parent):
    parent.tell(messages.Loads([msgspec.structs.replace((await parent.until(messages.Doing)).load, clients=30)]))
    status = msgspec.json.decode((await parent.page("/status")).body)
    assert (status["clients"], status["proxy"]) == (30, "proxy-1")
    assert status["uptime_ms"] >= 100_000
    figures = msgspec.msgpack.decode((await parent.page(FIGURES)).body, type=list[Family])
    assert {"hsm_proxy_clients", "hsm_proxy_process_cpu_seconds"} <= {family.name for family in figures}
    parent.tell(messages.Ask(99, "/nowhere"))
    await parent.page("/summary")
    assert not any(page.number == 99 for page in parent.of(messages.Page))


async def test_events_go_to_the_parent_and_count_when_they_come_back(parent):
    told = await parent.until(messages.Told, lambda told: told.node == "node-1")
    assert (await status_events(parent)) == []
    event = messages.EventReport(9, "now", "info", told.site, told.node, told.what)
    parent.tell(messages.Happened(event))
    assert await status_events(parent) == [(9, told.what)]


async def status_events(parent):
    status = msgspec.json.decode((await parent.page("/status")).body)
    return [(event["number"], event["what"]) for event in status["events"]]


async def test_a_hint_has_it_look(parent, stage):
    stage.nodes[0].silent = True
    parent.tell(messages.Hint("node-1"))
    await parent.until(messages.Beat, lambda beat: beat.rotation == 1)


async def test_limits_are_its_part_and_it_knows_its_neighbours(parent):
    worker = parent.worker
    assert worker._app.settings.limits.clients == 10
    parent.tell(messages.Others(4, has_room=True))
    await parent.page("/summary")
    assert (worker._seat.courtesy.fewest, worker._seat.courtesy.others_have_room) == (4, True)
    assert worker._seat.courtesy.crowd() == 0
    assert worker._seat.courtesy.has_room()


async def test_a_configuration_is_taken_over_as_it_was_told_whatever_the_disk_has(parent, stage):
    stage.write("[limits]\nclients = 30\n")
    new = load_config(stage.folder / "proxy.toml").sources
    (stage.folder / "proxy.toml").write_text("nonsense = 1\n")
    parent.tell(messages.Reload(new))
    assert (await parent.until(messages.Reloaded)).fault == ""
    assert parent.worker._app.settings.limits.clients == 15
    parent.tell(messages.Reload(msgspec.structs.replace(new, proxy=b"nonsense = 1")))
    assert "nonsense" in (await parent.until(messages.Reloaded, lambda told: told.fault)).fault
    assert parent.worker._app.settings.limits.clients == 15


async def test_that_a_newer_configuration_has_a_fault_is_known_to_it(parent):
    await parent.until(messages.Beat, lambda beat: beat.rotation == 2)
    parent.tell(messages.Reload(None))
    status = msgspec.json.decode((await parent.page("/status")).body)
    assert status["health"] == "degraded"
    assert "the newest configuration has a fault" in status["problems"][0]


async def test_it_leaves_when_it_is_told(parent):
    parent.tell(messages.Leave())
    async with asyncio.timeout(LIMIT_S):
        await parent.task
    assert parent.life.stopping.is_set()


async def test_it_leaves_when_its_parent_has_gone(parent, caplog):
    parent.channel.close()
    async with asyncio.timeout(LIMIT_S):
        await parent.task
    assert "the parent of this worker has gone" in caplog.text


def test_what_takes_a_restart_is_as_it_was_when_the_parent_started(tmp_path, stage):
    stage.nodes = [SimpleNamespace(name="node-1", port=1)]
    started = load_config(stage.write('state_dir = "one"\n')).sources
    current = load_config(stage.write('state_dir = "two"\n[limits]\nclients = 9\nhandshake_s = 2.0\n')).sources
    stage.nodes = []
    begin = messages.Begin(1, 2, 0.0, False, started, current, [])
    config = configuration(tmp_path / "proxy.toml", begin)
    assert (config.file.state_dir, config.file.limits.clients, config.file.limits.handshake_s) == ("one", 9, 5.0)
    same = configuration(tmp_path / "proxy.toml", msgspec.structs.replace(begin, current=started))
    assert same.file.limits.clients == 10_000


def test_a_worker_without_a_parent_does_not_start(tmp_path):
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs, pytest.raises(StartError, match="a worker has no parent"):
        run_worker(tmp_path / "proxy.toml", theirs, theirs)
