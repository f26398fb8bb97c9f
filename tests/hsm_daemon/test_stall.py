"""The stall guard."""

from hsm_daemon.stall import StallGuard


def test_a_loop_that_beats_in_time_has_not_stalled() -> None:
    guard = StallGuard(0.5)
    assert guard.stalled_for(1000.0) == 0.0
    assert [guard.beat(100.0 + turn * 0.5) for turn in range(4)] == [0.0] * 4
    assert guard.stalled_for(102.0) == 0.0
    assert guard.beat_every_s < guard.limit_s / 2


def test_a_pause_above_the_limit_is_told_until_the_next_beat_and_by_it() -> None:
    guard = StallGuard(0.5)
    guard.beat(100.0)
    assert guard.stalled_for(130.0) == 30.0
    assert guard.stalled_for(130.25) == 30.25
    assert guard.beat(130.25) == 30.25
    assert guard.stalled_for(130.25) == 0.0
    assert guard.beat(130.5) == 0.0
