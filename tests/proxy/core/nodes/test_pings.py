"""In which order PINGs over several links were sent, whatever the order of their PONGs."""

from hsm_wire import kinds
from hsm_wire.frames import FrameSplitter
from proxy.core.nodes.pings import MAX_ID, Pings


def test_each_ping_has_the_next_id():
    pings = Pings()
    frames = FrameSplitter(1 << 20).split(pings.next() + pings.next())
    assert [(frame.kind, frame.request_id) for frame in frames] == [(kinds.PING, 1), (kinds.PING, 2)]
    assert pings.next_id() == 3


def test_an_answer_that_was_overtaken_is_no_news():
    pings = Pings()
    first, second, third = (pings.next_id() for _ in range(3))
    assert pings.is_news(second)
    assert not pings.is_news(first)
    assert pings.is_news(second)
    assert pings.is_news(third)


def test_when_the_ids_begin_anew_the_order_goes_on():
    pings = Pings()
    for sent in (MAX_ID // 3, MAX_ID // 3 * 2, MAX_ID - 1):
        pings.sent = sent
        assert pings.is_news(sent)
    last, first, second = (pings.next_id() for _ in range(3))
    assert (last, first) == (MAX_ID, 1)
    assert pings.is_news(first)
    assert not pings.is_news(last)
    assert pings.is_news(second)


def test_an_answer_to_what_was_never_asked_is_no_news():
    pings = Pings()
    pings.next_id()
    assert not pings.is_news(2)
    assert pings.is_news(1)
