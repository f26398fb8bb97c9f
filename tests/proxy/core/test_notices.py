"""What the core has to say."""

from proxy.core.notices import MAX_NOTICES, Notices


def test_each_is_taken_once_and_too_many_are_not_kept():
    notices = Notices()
    for number in range(MAX_NOTICES + 5):
        notices.add("it happened", number=number)
    taken = notices.take()
    assert len(taken) == MAX_NOTICES
    assert (taken[1].text, taken[1].fields) == ("it happened", {"number": 1})
    assert notices.take() == []


def test_what_is_worse_has_its_level():
    notices = Notices()
    notices.add("it happened")
    notices.add("it is bad", level="error", node="n0")
    assert [(notice.level, notice.fields) for notice in notices.take()] == [("warning", {}), ("error", {"node": "n0"})]
