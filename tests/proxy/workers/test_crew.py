"""The parent and its workers: who is started, who is told what. Workers are fakes; the clock is the test's."""

import asyncio

import pytest
from fake_crew import SERVING, FakeChild
from worker_figures import load

from hsm_daemon import clock
from hsm_daemon.errors import StartError
from hsm_daemon.exit_codes import CONFIGURATION
from proxy.config import Sources
from proxy.workers import crew as module
from proxy.workers import messages
from proxy.workers.crew import Crew
from proxy.workers.roster import SILENCE_LIMIT_S, State

OLD, NEW = Sources(b"old", b"cluster"), Sources(b"new", b"cluster")


class Scene:
    """A crew of three, and its clock."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        FakeChild.all = []
        monkeypatch.setattr(module, "Child", FakeChild)
        monkeypatch.setattr(module, "TICK_S", 3600.0)
        monkeypatch.setattr(module, "release", lambda: "1.0")
        monkeypatch.setattr(clock, "monotonic", lambda: self.now)
        self.crew = Crew(3, OLD, succeeds=False)
        self.crew.start(None)

    @property
    def children(self):
        return FakeChild.all

    def pass_time(self, seconds, *, talking=True):
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
            for child in self.crew._children.values():
                if talking and not child.deaf:
                    child.say(SERVING)
            self.tick()

    def tick(self):
        self.crew._timer.cancel()
        self.crew._tick()

    def serve(self):
        for child in self.children:
            child.serve()
        self.crew.came_up()
        self.tick()

    def events(self):
        return [event.what for event in self.crew._ledger.events.after(0, 100)]


@pytest.fixture
async def scene(monkeypatch):
    made = Scene(monkeypatch)
    yield made
    made.crew._timer.cancel()


async def test_all_workers_are_started_and_told_who_they_are(scene):
    begins = [child.begin for child in scene.children]
    assert [(begin.number, begin.of) for begin in begins] == [(1, 3), (2, 3), (3, 3)]
    assert not any(begin.succeeds for begin in begins)
    assert all((begin.started, begin.current) == (OLD, OLD) for begin in begins)
    assert not scene.crew.is_up
    scene.serve()
    assert scene.crew.is_up
    assert scene.crew.roster.unready == ""


async def test_a_worker_that_ends_is_started_again_with_what_is_in_use_now(scene):
    scene.serve()
    scene.crew.reload(NEW)
    assert [child.of(messages.Reload) for child in scene.children] == [[messages.Reload(NEW)]] * 3
    scene.pass_time(5)
    scene.children[1].ends(-9)
    scene.tick()
    anew = scene.children[3]
    assert (anew.begin.number, anew.begin.started, anew.begin.current) == (2, OLD, NEW)
    assert (anew.begin.succeeds, anew.begin.age_s) == (True, pytest.approx(5.0))
    assert [event.what for event in anew.begin.events] == scene.events()
    assert scene.events() == ["worker 2 has ended (exit code -9) and is started again"]
    anew.ends(1)
    scene.tick()
    assert len(scene.children) == 4, "now it waits"
    scene.pass_time(0.6)
    assert len(scene.children) == 5
    assert scene.crew.roster.places[1].restarts == 2


async def test_a_worker_that_refuses_the_configuration_at_the_start_is_told(scene):
    stopping = asyncio.Event()
    waiting = asyncio.ensure_future(scene.crew.change(stopping))
    await asyncio.sleep(0)
    scene.children[0].ends(CONFIGURATION)
    await waiting
    assert scene.crew.refused == 1


async def test_one_that_refuses_it_later_is_tried_again(scene):
    scene.serve()
    scene.children[0].ends(CONFIGURATION)
    assert scene.crew.refused == 0


async def test_a_worker_that_stands_still_is_ended_by_force_and_replaced(scene):
    scene.serve()
    scene.pass_time(0.5)
    scene.children[1].deaf = True
    scene.pass_time(SILENCE_LIMIT_S + 0.3)
    assert scene.children[1].forced
    assert scene.children[3].begin.number == 2
    assert "worker 2 is ended by force: it stands still" in scene.events()


async def test_while_the_parent_itself_stood_still_nobody_could_be_heard(scene):
    scene.serve()
    scene.pass_time(0.5)
    scene.now += 100
    scene.tick()
    scene.pass_time(1.0)
    assert not any(child.forced for child in scene.children)


async def test_a_change_that_one_sees_is_a_hint_to_the_others(scene):
    scene.serve()
    scene.children[0].say(messages.Changed("n1"))
    assert [child.of(messages.Hint) for child in scene.children] == [[], *[[messages.Hint("n1")]] * 2]


async def test_events_are_numbered_once_and_told_to_all(scene):
    scene.serve()
    for child in scene.children:
        child.say(messages.Told(50.0, "warning", "n1 is down", "s", "n1"))
    for child in scene.children:
        (told,) = child.of(messages.Happened)
        assert (told.event.number, told.event.what) == (1, "n1 is down")


async def test_what_a_worker_that_starts_again_finds_out_is_known(scene):
    told = messages.Told(50.0, "info", "n1 is in rotation", "s", "n1")
    scene.children[0].say(told)
    scene.serve()
    scene.children[0].ends(0)
    scene.tick()
    anew = scene.children[3]
    anew.say(messages.Told(90.0, "info", told.what, "s", "n1"))
    anew.serve()
    anew.say(messages.Told(91.0, "info", "n2 is in rotation", "s", "n2"))
    assert scene.events() == [
        "n1 is in rotation",
        "worker 1 has ended (exit code 0) and is started again",
        "n2 is in rotation",
    ]


async def test_each_hears_how_many_connections_the_others_have_and_what_they_do(scene):
    scene.serve()
    for child, clients in zip(scene.children, (5, 3, 9), strict=True):
        child.say(messages.Beat(clients, has_room=True, unready="", rotation=2))
        child.say(messages.Doing(load(clients=clients)))
    scene.now += 1.0
    scene.tick()
    assert [child.of(messages.Others)[-1].fewest for child in scene.children] == [3, 5, 3]
    loads = [[each.clients for each in child.of(messages.Loads)[-1].loads] for child in scene.children]
    assert loads == [[3, 9], [5, 9], [5, 3]]


async def test_a_worker_that_cannot_take_a_configuration_over_is_replaced(scene):
    scene.serve()
    scene.crew.reload(NEW)
    for child, fault in zip(scene.children, ("", "a certificate has gone", ""), strict=True):
        child.say(messages.Reloaded(fault))
    assert [len(child.of(messages.Leave)) for child in scene.children] == [0, 1, 0]
    assert scene.crew.roster.places[1].state is State.LEAVING
    scene.children[1].ends(0)
    scene.tick()
    assert scene.children[3].begin.current == NEW


async def test_one_that_cannot_even_be_told_is_ended(scene):
    scene.serve()
    scene.children[2].deaf = True
    scene.crew.reload(NEW)
    assert scene.children[2].forced


async def test_pages_are_asked_for_and_not_waited_for_for_ever(scene, monkeypatch):
    scene.serve()
    place = scene.crew.roster.places[0]
    asking = asyncio.ensure_future(scene.crew.ask(place, "/status"))
    await asyncio.sleep(0)
    (ask,) = scene.children[0].of(messages.Ask)
    page = messages.Page(ask.number, 200, "text/plain", b"page")
    scene.children[0].say(page)
    scene.children[0].say(page)
    assert await asking == page
    monkeypatch.setattr(module, "ANSWER_LIMIT_S", 0.001)
    assert await scene.crew.ask(place, "/status") is None
    scene.children[0].deaf = True
    assert await scene.crew.ask(place, "/status") is None
    scene.children[0].say(page)
    assert scene.crew._asked == {}


async def test_how_many_pages_are_waited_for_is_bounded(scene, monkeypatch):
    monkeypatch.setattr(module, "MAX_QUESTIONS", 0)
    assert await scene.crew.ask(scene.crew.roster.places[0], "/status") is None


async def test_a_worker_of_another_version_is_told_of(scene):
    scene.children[0].say(messages.Serving("2.0"))
    assert "another version" in scene.events()[0]


async def test_all_leave_in_order_and_none_is_started_again(scene):
    scene.serve()
    stopping = asyncio.ensure_future(scene.crew.stop(60.0))
    await asyncio.sleep(0)
    assert all(child.of(messages.Leave) for child in scene.children)
    for child in scene.children:
        child.ends(0)
        scene.tick()
    await stopping
    assert len(scene.children) == 3
    assert scene.events() == []


async def test_those_that_do_not_end_are_killed(scene):
    scene.serve()
    await scene.crew.stop(0.001)
    assert all(child.forced for child in scene.children)


async def test_those_that_are_there_when_the_parent_is_forced_to_end_are_killed(scene):
    scene.serve()
    stopping = asyncio.ensure_future(scene.crew.stop(60.0))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert all(child.forced for child in scene.children)


async def test_a_worker_that_cannot_be_started_is_tried_again(scene, monkeypatch):
    def fail(self, begin, listener):
        raise StartError("no worker: no memory")

    scene.serve()
    monkeypatch.setattr(FakeChild, "start", fail)
    scene.children[0].ends(-9)
    scene.tick()
    scene.tick()
    assert scene.events()[-1] == "worker 1 cannot be started: no worker: no memory"
    assert len(scene.events()) == 2, "it waits before it tries again"
    assert scene.crew.refused == 0


async def test_a_parent_whose_workers_cannot_be_started_does_not_start(scene, monkeypatch):
    monkeypatch.setattr(FakeChild, "start", lambda *_: (_ for _ in ()).throw(StartError("no worker")))
    scene.children[1].ends(1)
    scene.tick()
    await scene.crew.change(asyncio.Event())
    assert scene.crew.refused == 2


async def test_what_is_no_message_of_a_worker_is_a_bug(scene):
    with pytest.raises(TypeError, match="no message of worker 1"):
        scene.children[0].say(messages.Leave())
