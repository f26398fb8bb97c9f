from hsm_node.core.window import FEWEST_MEASUREMENTS, MAX_WINDOW, Window


def measured(seconds: float) -> Window:
    window = Window(2)
    for _ in range(FEWEST_MEASUREMENTS):
        window.served(seconds)
    return window


def test_the_window_is_whole_before_anything_was_served() -> None:
    assert Window(2).advertised(1) == MAX_WINDOW


def test_slow_service_makes_it_small_but_not_below_twice_the_sessions() -> None:
    assert measured(1.0).advertised(1) == 4


def test_the_first_few_requests_say_nothing_yet() -> None:
    window = Window(2)
    for _ in range(FEWEST_MEASUREMENTS - 1):
        window.served(1.0)
    assert window.advertised(1) == MAX_WINDOW


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
