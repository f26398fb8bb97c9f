"""The end of the proxy's own certificate."""

from proxy.core.notices import Notices
from proxy.core.reporting.expiry import DAY_S, EXPIRED, EXPIRES, LOOK_S, Expiry

END = 100 * DAY_S
LIFE = (0.0, END)


def looked_at(expiry, notices, days_left, now):
    expiry.tick(LIFE, END - days_left * DAY_S, now)
    return [(notice.text, notice.level) for notice in notices.take()]


def test_the_steps_are_fourteen_seven_three_two_and_one_day_and_the_end():
    notices = Notices()
    expiry = Expiry(notices)
    found = {}
    for number, days in enumerate((30, 14.5, 13.9, 13, 6.5, 2.9, 2.8, 1.5, 0.5, -0.5, -3)):
        found[days] = looked_at(expiry, notices, days, number * LOOK_S)
    assert {days: each[0] for days, each in found.items() if each} == {
        13.9: (EXPIRES, "warning"),
        6.5: (EXPIRES, "warning"),
        2.9: (EXPIRES, "warning"),
        1.5: (EXPIRES, "error"),
        0.5: (EXPIRES, "error"),
        -0.5: (EXPIRED, "error"),
    }
    assert expiry.urgent_s == -3 * DAY_S


def test_a_certificate_is_looked_at_once_a_minute_and_a_new_one_at_once():
    notices = Notices()
    expiry = Expiry(notices)
    expiry.tick(LIFE, END - 20 * DAY_S, 0.0)
    expiry.tick(LIFE, END - DAY_S, LOOK_S - 1)
    assert notices.take() == []
    expiry.tick((0.0, END + DAY_S), END - DAY_S, LOOK_S - 1)
    (notice,) = notices.take()
    assert expiry.urgent_s == 2 * DAY_S == notice.fields["left_s"]


def test_one_that_was_renewed_is_said_again_when_its_time_comes():
    notices = Notices()
    expiry = Expiry(notices)
    expiry.tick(LIFE, END - 0.5 * DAY_S, 0.0)
    expiry.tick((0.0, 2 * END), END, 1.0)
    assert len(notices.take()) == 1
    expiry.tick((0.0, 2 * END), 2 * END - 0.5 * DAY_S, LOOK_S + 1)
    assert len(notices.take()) == 1


def test_without_tls_there_is_nothing_to_say():
    notices = Notices()
    expiry = Expiry(notices)
    expiry.tick(None, END, 0.0)
    assert (expiry.urgent_s, notices.take()) == (None, [])


def test_one_that_lives_for_a_day_is_not_urgent_on_its_whole_last_day():
    notices = Notices()
    expiry = Expiry(notices)
    life = (END - DAY_S, END)
    found = []
    for number, hours in enumerate((23, 9, 7, 1.5, 1)):
        expiry.tick(life, END - hours * 3600, number * LOOK_S)
        found.append(expiry.urgent_s)
    assert found == [None, None, None, None, 3600]
    assert [notice.level for notice in notices.take()] == ["warning", "warning", "error"]
