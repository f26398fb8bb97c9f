"""Events of several workers, each once and in one row of numbers."""

from proxy.core.reporting.events import MAX_EVENTS
from proxy.workers.ledger import MAX_KINDS, SAME_S, Copy, Ledger


def told(ledger, worker, at, what="n1 is down", node="n1"):
    return ledger.tell(worker, at, "warning", what, site="s", node=node)


def shown(events):
    return [(event.number, event.what) for event in events.after(0, MAX_EVENTS)]


def test_what_several_workers_find_out_is_one_event():
    ledger = Ledger()
    assert [told(ledger, 1, 100.0), told(ledger, 2, 100.3), told(ledger, 3, 100.0 + SAME_S)] == [True, False, False]
    assert shown(ledger.events) == [(1, "n1 is down")]
    assert (ledger.newest.number, ledger.newest.node, ledger.newest.site) == (1, "n1", "s")


def test_what_one_worker_tells_twice_happened_twice():
    ledger = Ledger()
    assert told(ledger, 1, 100.0)
    assert told(ledger, 1, 100.5)
    assert not told(ledger, 2, 100.6)
    assert len(shown(ledger.events)) == 2


def test_what_is_told_much_later_is_another_event():
    ledger = Ledger()
    assert told(ledger, 1, 100.0)
    assert told(ledger, 2, 100.1 + SAME_S)


def test_other_words_or_another_node_are_another_event():
    ledger = Ledger()
    assert told(ledger, 1, 100.0)
    assert told(ledger, 2, 100.0, what="n1 is up")
    assert told(ledger, 2, 100.0, node="n2")
    assert [number for number, _ in shown(ledger.events)] == [1, 2, 3]


def test_how_much_is_remembered_of_what_was_told_lately_is_bounded():
    ledger = Ledger()
    for number in range(2 * MAX_KINDS):
        assert told(ledger, 1, 100.0, what=f"event {number}")
    assert len(ledger._lately) == MAX_KINDS


def test_a_worker_s_events_go_to_the_parent_and_come_back_with_their_numbers():
    ledger, sent = Ledger(), []
    told(ledger, 0, 99.0, what="before")
    copy = Copy(ledger.events.after(0, 10), lambda *event: sent.append(event))
    copy.add(100.0, "info", "it happened", site="s", node="n1")
    assert sent == [(100.0, "info", "it happened", "s", "n1")]
    assert shown(copy) == [(1, "before")]
    ledger.tell(1, 100.0, "info", "it happened", site="s", node="n1")
    copy.keep(ledger.newest)
    assert shown(copy) == shown(ledger.events)
    assert copy.newest == 2
    assert [event.number for event in copy.after(1, 10)] == [2]
