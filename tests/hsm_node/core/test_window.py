from hsm_node.core.limits import Limits
from hsm_node.core.window import FEWEST_MEASUREMENTS, Window


def measured(seconds: float, limits: Limits = Limits()) -> Window:  # noqa: B008 - it is frozen
    window = Window(2, limits)
    for _ in range(FEWEST_MEASUREMENTS):
        window.served(seconds)
    return window


def test_the_window_is_whole_before_anything_was_served() -> None:
    assert Window(2).advertised(1) == 256


def test_slow_service_makes_it_small_but_not_below_twice_the_sessions() -> None:
    assert measured(1.0).advertised(1) == 4


def test_the_first_few_requests_say_nothing_yet() -> None:
    window = Window(2)
    for _ in range(FEWEST_MEASUREMENTS - 1):
        window.served(1.0)
    assert window.advertised(1) == 256


def test_it_follows_the_formula_and_is_shared_by_proxies() -> None:
    window = measured(0.001)
    assert window.advertised(1) == 12
    assert window.advertised(3) == 4
    assert window.advertised(1000) == 1


def test_the_mean_moves_slowly() -> None:
    window = Window(2)
    window.served(0.001)
    window.served(0.021)
    assert abs(window.mean_service_s - 0.002) < 1e-9


def test_the_time_that_the_loop_takes_bounds_it_as_well() -> None:
    window = measured(0.0001)
    assert window.advertised(1) == 102
    window.turned(0.01, 100)
    assert window.advertised(1) == 51
    window.turned(0.02, 200)
    assert window.advertised(1) == 51


def test_the_loops_own_upkeep_between_few_requests_is_not_taken_for_their_cost() -> None:
    window = measured(0.0001)
    window.turned(1.0, 19)
    assert window.advertised(1) == 102
    window.turned(1.0016, 39)
    assert window.advertised(1) == 63


def test_a_slow_loop_does_not_make_it_smaller_than_twice_the_sessions() -> None:
    window = measured(0.0001)
    window.turned(10.0, 20)
    assert window.advertised(1) == 4


def test_its_largest_and_the_wait_that_it_allows_are_the_configurations() -> None:
    limits = Limits(window_requests=40, window_wait_s=0.01)
    assert Window(2, limits).advertised(1) == 40
    assert measured(0.001, limits).advertised(1) == 22
    assert measured(0.0001, limits).advertised(1) == 40
