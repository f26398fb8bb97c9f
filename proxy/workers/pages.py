"""The admin pages of a proxy with workers: `/metrics` is the sum of all, `/status` and `/summary` are the report of one
worker, which has what the others do, and a row for each of them."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hsm_daemon import clock
from hsm_daemon.admin import AdminAnswer, Page
from hsm_daemon.metrics import CONTENT_TYPE, ProcessCollector
from hsm_daemon.tasks import spawn
from proxy import status_page
from proxy.metrics import PREFIX
from proxy.workers import messages
from proxy.workers.roster import Place, Roster, State
from proxy.workers.sums import Family, Sums, families_of
from proxy.workers.worker import FIGURES

PARENT: Final = 0
"""The parent's number among those whose figures are summed."""
_TEXT: Final = "text/plain; charset=utf-8"


class Crew(Protocol):
    """Who is asked for pages."""

    roster: Roster
    sums: Sums
    leaving: bool

    async def ask(self, place: Place, path: str) -> messages.Page | None:
        """Return a page of a worker; None: it does not answer in time."""


class WorkerCollector(Collector):
    """What there is of each worker, beside what all of them have counted together."""

    def __init__(self, roster: Roster, sums: Sums) -> None:
        self._roster = roster
        self._sums = sums

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        yield from self._sums.total()
        yield from worker_families(self._roster, self._sums)


def worker_families(roster: Roster, sums: Sums) -> Iterator[Metric]:
    """Yield the families with a label `worker`."""
    text = "1 where a worker takes clients."
    up = GaugeMetricFamily("hsm_proxy_worker_up", text, labels=["worker"])
    clients = GaugeMetricFamily("hsm_proxy_worker_clients", "Connections of a worker.", labels=["worker"])
    restarts = CounterMetricFamily(
        "hsm_proxy_worker_restarts", "Times that a worker was started again.", labels=["worker"]
    )
    requests = CounterMetricFamily(
        "hsm_proxy_worker_requests", "Answers of a worker to clients, since it started.", labels=["worker"]
    )
    cpu = CounterMetricFamily(
        "hsm_proxy_worker_cpu_seconds", "Processor time of a worker, since it started.", labels=["worker"]
    )
    for place in roster.places:
        label = [str(place.number)]
        up.add_metric(label, int(place.serves))
        clients.add_metric(label, place.beat.clients)
        restarts.add_metric(label, place.restarts)
        requests.add_metric(label, sums.of(place.number, "hsm_proxy_requests_total"))
        cpu.add_metric(label, sums.of(place.number, "hsm_proxy_process_cpu_seconds_total"))
    yield from (up, clients, restarts, requests, cpu)


class Pages:
    """Makes them."""

    def __init__(self, name: str, crew: Crew, more: Callable[[], dict[str, Any]]) -> None:
        """Prepare.

        Args:
            name: of the proxy.
            crew: whose pages these are.
            more: returns what `/status` has that only the parent knows.
        """
        self._name = name
        self._crew = crew
        self._roster = crew.roster
        self._more = more
        self._own = ProcessCollector(PREFIX)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(WorkerCollector(crew.roster, crew.sums))
        self._making: asyncio.Task[AdminAnswer] | None = None

    def routes(self) -> Mapping[str, Page]:
        """Return path -> page."""
        return {
            **status_page.routes(),
            "/summary": self._summary,
            "/metrics": self._metrics,
            "/livez": lambda: _text(200, "alive"),
            "/readyz": self._readyz,
            "/status": self._status,
        }

    @property
    def unready(self) -> str:
        """Why no client should be sent to this proxy."""
        return "this proxy is shutting down" if self._crew.leaving else self._roster.unready

    def _readyz(self) -> AdminAnswer:
        reason = self.unready
        return _text(503, f"not ready: {reason}") if reason else _text(200, "ready")

    async def _metrics(self) -> AdminAnswer:
        # Whoever comes while a page is being made gets that one.
        if self._making is None:
            self._making = spawn(self._new_metrics(), "metrics of all workers")
            self._making.add_done_callback(self._made)
        return await asyncio.shield(self._making)

    def _made(self, _page: "asyncio.Task[AdminAnswer]") -> None:
        self._making = None

    async def _new_metrics(self) -> AdminAnswer:
        sums = self._crew.sums
        places = [place for place in self._roster.places if place.state in (State.SERVING, State.LEAVING)]
        processes = [place.pid for place in places]
        pages = await asyncio.gather(*(self._crew.ask(place, FIGURES) for place in places))
        began = clock.thread_s()
        for place, pid, page in zip(places, processes, pages, strict=True):
            if page is not None and place.pid == pid:  # else it has ended since
                sums.take(place.number, msgspec.msgpack.decode(page.body, type=list[Family]))
        sums.take(PARENT, families_of(self._own.collect()))
        text = generate_latest(self._registry)
        self._own.page_s = clock.thread_s() - began
        return AdminAnswer(200, CONTENT_TYPE, text)

    async def _status(self) -> AdminAnswer:
        page = await self._anyones("/status")
        if page is None:
            return _text(503, self._roster.unready or "no worker answers; try again")
        report = msgspec.json.decode(page.body)
        workers = [_row(place) for place in self._roster.places]
        report |= {"ready": not self.unready, "workers": workers} | self._more()
        return AdminAnswer(200, page.content_type, msgspec.json.encode(report))

    async def _summary(self) -> AdminAnswer:
        page = await self._anyones("/summary")
        if page is None:
            return _text(200, f"{self._name}: {self._roster.unready or 'no worker answers'}")
        up = len(self._roster.serving)
        line = f"{up} of {len(self._roster.places)} workers serve\n"
        return AdminAnswer(200, page.content_type, page.body + line.encode())

    async def _anyones(self, path: str) -> messages.Page | None:
        """Return the page of the first worker that answers."""
        for place in self._roster.serving or self._roster.places:
            page = await self._crew.ask(place, path)
            if page is not None:
                return page
        return None


def _row(place: Place) -> dict[str, Any]:
    load = place.load
    return {
        "number": place.number,
        "state": place.state.value,
        "pid": place.pid,
        "clients": place.beat.clients,
        "restarts": place.restarts,
        "requests": load.requests if load is not None else 0,
        "requests_per_second": round(load.per_second, 3) if load is not None else 0.0,
        "in_flight": load.in_flight if load is not None else 0,
    }


def _text(status: int, text: str) -> AdminAnswer:
    return AdminAnswer(status, _TEXT, f"{text}\n".encode())
