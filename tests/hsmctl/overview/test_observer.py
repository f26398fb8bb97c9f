"""Looks at every proxy, over connections that are kept."""

from collections.abc import AsyncIterator

import pytest
from fake_cluster import CUT, FakeProxy
from reports import event, report

from hsm_client.config import ClientConfig, ProxyAddress
from hsm_client.errors import ClusterUnreachable, ConfigurationError
from hsm_wire.messages import EventsResult
from hsm_wire.statuses import Status
from hsmctl.overview.observer import MAX_KEPT_EVENTS, Look, Observer, answered, look_once
from hsmctl.proxies import Asker


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    made = await FakeProxy().start()
    yield made
    await made.stop()


@pytest.fixture
async def observer(proxy: FakeProxy) -> AsyncIterator[Observer]:
    made = Observer(asker(proxy))
    yield made
    await made.close()


def asker(proxy: FakeProxy) -> Asker:
    return Asker(ClientConfig((ProxyAddress("127.0.0.1", proxy.port),), None), 2.0)


def tells(newest: int, *numbers: int) -> tuple[Status, EventsResult]:
    return Status.OK, EventsResult("proxy-1", newest, [event(number) for number in numbers])


async def test_one_connection_serves_all_looks(proxy: FakeProxy, observer: Observer) -> None:
    for _ in range(3):
        [look] = await observer.look(0)
        assert look.report is not None
    assert (proxy.accepted, len(proxy.requests)) == (1, 3)


async def test_only_events_that_are_new_are_asked_for_and_all_are_kept(proxy: FakeProxy, observer: Observer) -> None:
    proxy.script.extend([(Status.OK, report()), tells(2, 1, 2), (Status.OK, report()), tells(3, 3)])
    [first] = await observer.look(50)
    [second] = await observer.look(50)
    assert [each.number for each in first.fresh] == [1, 2]
    assert [each.number for each in second.fresh] == [3]
    assert [each.number for each in second.events] == [1, 2, 3]


async def test_a_proxy_that_was_restarted_is_asked_from_the_beginning(proxy: FakeProxy, observer: Observer) -> None:
    proxy.script.extend([(Status.OK, report()), tells(9, 9)])
    await observer.look(50)
    proxy.script.extend([(Status.OK, report()), tells(2), tells(2, 1, 2)])
    [look] = await observer.look(50)
    assert [each.number for each in look.fresh] == [1, 2]


async def test_events_kept_are_bounded(proxy: FakeProxy, observer: Observer) -> None:
    proxy.script.extend([(Status.OK, report()), tells(2000, *[1] * (MAX_KEPT_EVENTS + 5))])
    [look] = await observer.look(500)
    assert len(look.events) == MAX_KEPT_EVENTS


async def test_a_connection_that_breaks_is_a_fault_and_the_next_look_has_a_new_one(
    proxy: FakeProxy, observer: Observer
) -> None:
    await observer.look(50)
    proxy.script.append(CUT)
    [broken] = await observer.look(50)
    assert broken.report is None
    assert isinstance(broken.fault, ClusterUnreachable)
    assert len(broken.events) == 1
    [again] = await observer.look(50)
    assert again.report is not None
    assert proxy.accepted == 2


async def test_a_refusal_is_a_fault(proxy: FakeProxy, observer: Observer) -> None:
    proxy.script.append(Status.DENIED)
    [look] = await observer.look(0)
    assert look.fault is not None
    assert look.fault.status == Status.DENIED


async def test_a_proxy_that_knows_no_events_is_shown_without(proxy: FakeProxy, observer: Observer) -> None:
    proxy.script.extend([(Status.OK, report()), Status.UNKNOWN_OPERATION])
    [look] = await observer.look(50)
    assert (look.report is not None, look.fresh) == (True, ())


async def test_one_look_closes_what_it_opened(proxy: FakeProxy) -> None:
    [look] = await look_once(asker(proxy), 5)
    assert look.report is not None
    assert proxy.accepted == 1


def test_no_answer_at_all_is_an_error_that_names_all_proxies_and_a_refusal_stays_one() -> None:
    here, there = ProxyAddress("a", 1), ProxyAddress("b", 2)
    fault = ClusterUnreachable("no route")
    with pytest.raises(ClusterUnreachable, match=r"a:1, b:2 can be reached \(no route\); check that the cluster runs"):
        answered([Look(here, None, fault), Look(there, None, fault)])
    with pytest.raises(ConfigurationError):
        answered([Look(here, None, ConfigurationError("refused; renew it"))])
    assert answered([Look(here, None, fault), Look(there, report())])
