"""A worker's process: a proxy without admin pages, which tells its parent how it is and does what that says."""

import asyncio
import functools
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hsm_cluster.errors import ConfigurationError
from hsm_daemon import clock, lifecycle, logs
from hsm_daemon.admin import AdminAnswer
from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import Lifecycle
from hsm_daemon.metrics import ProcessCollector
from hsm_daemon.rationed_page import RationedPage
from hsm_daemon.release import release
from hsm_daemon.tls import load_certificates
from proxy.admin_pages import why_unready
from proxy.app import ProxyApp
from proxy.config import ProxyConfig, load_config
from proxy.metrics import PREFIX
from proxy.reconfiguration import load
from proxy.workers import messages
from proxy.workers.channel import Channel, first_message, open_channel
from proxy.workers.messages import Begin, FromParent, MalformedError, Message
from proxy.workers.seat import WorkerSeat
from proxy.workers.sums import families_of

BEAT_S: Final = 0.1
"""Between signs of life; so old may be what other workers know of this one's connections."""
REPORT_S: Final = 1.0
"""Between words of what this worker does, for the reports of the others."""
ROTATION_S: Final = 3.0
"""How long a worker that follows another one looks for a node before it serves without, as in a hot restart."""
FIGURES: Final = "figures"
"""Path of the page for the parent alone."""
_log = logs.logger("proxy.workers")


def run_worker(path: Path, channel: socket.socket, listener: socket.socket) -> int:
    """Run a worker to its end; return its exit code.

    Raises:
        StartError: the parent says nothing that makes sense, or a certificate is wrong.
        ConfigurationError: proxy.toml or cluster.toml is.
    """
    try:
        begin = first_message(channel)
    except MalformedError as error:
        raise StartError(f"a worker has no parent: {error}") from None
    config = configuration(path, begin)
    logs.configure("hsm-proxy", config.file.log, worker=begin.number)
    worker = Worker(begin)
    return lifecycle.run(lambda life: worker.run(config, channel, listener, life), config.file.event_loop)


def configuration(path: Path, begin: Begin) -> ProxyConfig:
    """Return what workers that have run since the parent's start run with."""
    config = load_config(path, begin.started)
    if begin.current == begin.started:
        return config
    certificates = load_certificates(config.tls)
    return load(path, config, certificates.identity if certificates else None, begin.current).config


class Worker:
    """One of them."""

    def __init__(self, begin: Begin) -> None:
        """Prepare for that place."""
        self._begin = begin
        self._seat = WorkerSeat(begin, self._send)
        self._channel: Channel[Any] | None = None
        self._life: Lifecycle | None = None
        self._app: ProxyApp | None = None
        self._early: list[FromParent] = []
        """What came before there was a proxy."""
        self._pages: Mapping[str, Callable[[], AdminAnswer]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def run(self, config: ProxyConfig, channel: socket.socket, listener: socket.socket, life: Lifecycle) -> None:
        """Serve until it is told to leave, or the parent has gone."""
        self._life = life
        self._channel = await open_channel(channel, FromParent, self._take, self._parent_gone)
        app = self._app = ProxyApp(config, {"client": listener}, self._seat)
        self._equip(app)
        self._every(BEAT_S, "beat", lambda: self._beat(app))
        for message in self._early:
            self._take(message)
        try:
            await app.start(rotation_s=ROTATION_S if self._begin.succeeds else 0.0, stopping=life.stopping)
            self._send(messages.Serving(release()))
            life.ready("")
            self._every(REPORT_S, "report", lambda: self._report(app))
            await life.stopping.wait()
        finally:
            await app.stop()
            for timer in self._timers.values():
                timer.cancel()
            self._channel.close()
        logs.event(_log, "info", "worker stopped")

    def _equip(self, app: ProxyApp) -> None:
        """Give its place in the proxy what it has to know of this process."""
        seat, listener, counters = self._seat, app.listener, app.dispatcher.counters
        seat.courtesy.crowd = lambda: listener.crowd
        seat.courtesy.has_room = lambda: listener.has_room
        seat.counted = lambda: (counters.requests, counters.failovers)
        own = ProcessCollector(PREFIX)
        self._pages = {**app.routes, FIGURES: RationedPage(lambda: _figures(app, own))}

    def _every(self, seconds: float, name: str, work: Callable[[], None]) -> None:
        # First: work that fails must not end what follows.
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(seconds, self._every, seconds, name, work)
        work()

    def _beat(self, app: ProxyApp) -> None:
        listener = app.listener
        rotation = len(app.table.rotation)
        self._send(messages.Beat(listener.crowd, listener.has_room, why_unready(app.dispatcher), rotation))

    def _report(self, app: ProxyApp) -> None:
        app.report(clock.monotonic())
        if self._seat.load is not None:
            self._send(messages.Doing(self._seat.load))

    def _send(self, message: Message) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _parent_gone(self) -> None:
        if self._life is not None and not self._life.stopping.is_set():
            logs.event(_log, "error", "the parent of this worker has gone", what="it sends its clients away and ends")
            self._life.leave()

    # ---- what the parent says

    def _take(self, message: FromParent) -> None:
        app = self._app
        if app is None:
            self._early.append(message)
            return
        self._obey(message, app)

    @functools.singledispatchmethod
    def _obey(self, message: FromParent, app: ProxyApp) -> None:
        """Do what the parent says: the rest of its messages means nothing to a worker that runs."""

    @_obey.register
    def _happened(self, message: messages.Happened, _app: ProxyApp) -> None:
        self._seat.copy.keep(message.event)

    @_obey.register
    def _others(self, message: messages.Others, _app: ProxyApp) -> None:
        self._seat.courtesy.fewest, self._seat.courtesy.others_have_room = message.fewest, message.has_room

    @_obey.register
    def _loads(self, message: messages.Loads, _app: ProxyApp) -> None:
        self._seat.others = message.loads

    @_obey.register
    def _hint(self, message: messages.Hint, app: ProxyApp) -> None:
        app.supervisor.hint(message.node, clock.monotonic())

    @_obey.register
    def _ask(self, message: messages.Ask, _app: ProxyApp) -> None:
        page = self._pages.get(message.path)
        if page is not None:
            answer = page()
            self._send(messages.Page(message.number, answer.status, answer.content_type, answer.body))

    @_obey.register
    def _reload(self, message: messages.Reload, app: ProxyApp) -> None:
        if message.sources is None:
            app.note_failed_reload()
            return
        fault = ""
        try:
            app.reload(message.sources)
        except (StartError, ConfigurationError) as error:
            fault = str(error)
        self._send(messages.Reloaded(fault))

    @_obey.register
    def _leave(self, _message: messages.Leave, _app: ProxyApp) -> None:
        if self._life is not None:
            self._life.leave()


def _figures(app: ProxyApp, own: ProcessCollector) -> AdminAnswer:
    """Return the figures of this worker for the parent's sums."""
    began = clock.thread_s()
    body = msgspec.msgpack.encode(families_of([*app.collector.collect(), *own.collect()]))
    own.page_s = clock.thread_s() - began
    return AdminAnswer(200, "application/msgpack", body)
