"""Who takes the next connection."""

from proxy.workers.courtesy import Courtesy


def with_crowd(crowd, fewest, *, room=True, others_room=True):
    made = Courtesy()
    made.crowd, made.has_room = lambda: crowd, lambda: room
    made.fewest, made.others_have_room = fewest, others_room
    return made


def test_who_has_more_than_another_one_steps_back():
    assert with_crowd(5, 4).step_back()
    assert not with_crowd(4, 4).step_back()
    assert not with_crowd(3, 4).step_back()


def test_who_is_alone_takes_everything():
    assert not Courtesy().step_back()
    assert not Courtesy().stay_out()
    assert not with_crowd(5, None).step_back()


def test_who_is_full_stays_out_while_another_one_has_room():
    assert with_crowd(5, 4, room=False).stay_out()
    assert not with_crowd(5, 4, room=False, others_room=False).stay_out(), "somebody has to refuse it"
    assert not with_crowd(5, 4).stay_out()
