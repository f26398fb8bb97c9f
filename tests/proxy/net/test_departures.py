"""Clients leave a few at a time, and all within a second."""

from proxy.net.departures import AT_LEAST, SPREAD_S, Departures


class Guest:
    def __init__(self):
        self.reasons = []

    def go_away(self, reason):
        self.reasons.append(reason)


def beats_until_empty(departures):
    beats = 0
    while departures:
        departures.beat()
        beats += 1
    return beats


def test_few_leave_two_in_a_beat_and_in_order():
    guests, departures = [Guest() for _ in range(5)], Departures()
    departures.add(guests, "over")
    departures.beat()
    assert [guest.reasons for guest in guests] == [["over"]] * AT_LEAST + [[]] * 3
    assert beats_until_empty(departures) == 2
    assert all(guest.reasons == ["over"] for guest in guests)


def test_thousands_are_told_within_the_time_and_so_are_those_that_come_on_top():
    departures = Departures()
    departures.add([Guest() for _ in range(4000)], "over")
    for _ in range(20):
        departures.beat()
    assert len(departures) == 2000
    departures.add([Guest()], "idle")
    assert beats_until_empty(departures) <= SPREAD_S / 0.025 - 20 + 1


def test_who_waits_already_hears_the_newest_reason_once():
    guest, departures = Guest(), Departures()
    departures.add([guest], "idle")
    departures.add([guest], "over")
    assert guest in departures
    beats_until_empty(departures)
    assert guest.reasons == ["over"]


def test_who_has_left_by_itself_is_not_told():
    guest, departures = Guest(), Departures()
    departures.add([guest], "over")
    departures.forget(guest)
    departures.forget(guest)
    departures.beat()
    assert (guest.reasons, len(departures)) == ([], 0)
