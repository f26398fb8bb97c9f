"""Time."""

from hsm_daemon import clock


def test_monotonic_time_goes_forward_and_now_is_this_century() -> None:
    assert clock.monotonic() <= clock.monotonic()
    assert clock.boottime() <= clock.boottime()
    assert 1_700_000_000 < clock.now() < 4_102_444_800
