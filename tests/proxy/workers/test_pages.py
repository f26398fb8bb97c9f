"""The admin pages of the parent, of workers that answer, or do not."""

import asyncio

import msgspec
import pytest
from fake_crew import SERVING
from worker_figures import counter, gauge, load

from proxy.workers import messages
from proxy.workers.pages import Pages
from proxy.workers.roster import Roster
from proxy.workers.sums import Sums
from proxy.workers.worker import FIGURES


class Answering:
    """A crew of two: what each answers, by path."""

    def __init__(self):
        self.roster = Roster(2)
        self.sums = Sums("hsm_proxy")
        self.leaving = False
        self.answers = {}
        self.asked = []

    async def ask(self, place, path):
        self.asked.append((place.number, path))
        await asyncio.sleep(0)
        body = self.answers.get((place.number, path))
        return None if body is None else messages.Page(1, 200, "text/plain", body)


@pytest.fixture
def crew():
    made = Answering()
    for place in made.roster.places:
        place.started(1000 + place.number, 100.0)
        place.heard(msgspec.structs.replace(SERVING, clients=10 * place.number), 100.0)
        place.serving(100.0)
        place.load = load(clients=10 * place.number)
        requests = [counter(place.number, operation="sign"), gauge("clients", 10 * place.number)]
        made.answers[place.number, FIGURES] = msgspec.msgpack.encode(requests)
        made.answers[place.number, "/status"] = msgspec.json.encode({"clients": 30, "pid": 1, "ready": False})
        made.answers[place.number, "/summary"] = b"p: 2 of 2 nodes in rotation\n"
    return made


@pytest.fixture
def routes(crew):
    return Pages("p", crew, lambda: {"pid": 7, "address": "a:1"}).routes()


async def metrics(routes):
    text = (await routes["/metrics"]()).body.decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}


async def test_metrics_are_the_sum_and_a_few_of_each_worker(routes):
    found = await metrics(routes)
    assert found['hsm_proxy_requests_total{operation="sign"}'] == 3
    assert found["hsm_proxy_clients"] == 30
    assert found['hsm_proxy_worker_requests_total{worker="2"}'] == 2
    assert found['hsm_proxy_worker_clients{worker="1"}'] == 10
    assert [found[f'hsm_proxy_worker_up{{worker="{number}"}}'] for number in (1, 2)] == [1, 1]
    assert found["hsm_proxy_process_cpu_seconds_total"] > 0, "that of the parent itself"


async def test_of_a_worker_that_does_not_answer_the_last_figures_count(crew, routes):
    await metrics(routes)
    del crew.answers[2, FIGURES]
    assert (await metrics(routes))['hsm_proxy_requests_total{operation="sign"}'] == 3


async def test_a_worker_that_ended_while_it_was_asked_is_not_counted(crew, routes):
    answer = crew.ask

    async def ask(place, path):
        page = await answer(place, path)
        if place.number == 2:
            place.pid = 4000
        return page

    crew.ask = ask
    assert (await metrics(routes))['hsm_proxy_requests_total{operation="sign"}'] == 1


async def test_whoever_comes_while_a_page_is_made_gets_that_one(crew, routes):
    await asyncio.gather(*(routes["/metrics"]() for _ in range(10)))
    assert len(crew.asked) == 2
    await routes["/metrics"]()
    assert len(crew.asked) == 4


async def test_status_is_the_report_of_one_with_a_row_for_each(routes):
    found = msgspec.json.decode((await routes["/status"]()).body)
    assert (found["clients"], found["pid"], found["ready"], found["address"]) == (30, 7, True, "a:1")
    assert [(row["number"], row["state"], row["pid"], row["clients"]) for row in found["workers"]] == [
        (1, "serving", 1001, 10),
        (2, "serving", 1002, 20),
    ]
    assert found["workers"][0]["requests"] == 50


async def test_another_worker_is_asked_when_the_first_one_does_not_answer(crew, routes):
    del crew.answers[1, "/status"]
    assert (await routes["/status"]()).status == 200
    del crew.answers[2, "/status"], crew.answers[1, "/summary"], crew.answers[2, "/summary"]
    crew.roster.places[0].load = None
    assert (await routes["/status"]()).status == 503
    assert (await routes["/summary"]()).body == b"p: no worker answers\n"


async def test_the_summary_says_how_many_workers_serve(routes):
    assert (await routes["/summary"]()).body.endswith(b"2 of 2 workers serve\n")


async def test_a_proxy_is_ready_while_a_worker_is(crew, routes):
    assert routes["/livez"]().status == 200
    assert routes["/readyz"]().status == 200
    for place in crew.roster.places:
        place.heard(messages.Beat(0, has_room=True, unready="no node is in rotation", rotation=0), 101.0)
    answer = routes["/readyz"]()
    assert (answer.status, answer.body) == (503, b"not ready: no node is in rotation\n")
    crew.leaving = True
    assert b"shutting down" in routes["/readyz"]().body
    assert (await routes["/status"]()).status == 200, "whoever wants to know why can see it"


def test_the_status_page_is_the_same(routes):
    assert b"<!doctype html>" in routes["/"]().body
