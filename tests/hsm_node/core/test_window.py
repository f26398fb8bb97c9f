from hsm_node.core.window import MAX_WINDOW, Window


def test_the_window_is_whole_before_anything_was_served() -> None:
    assert Window(2).advertised(1) == MAX_WINDOW


def test_slow_service_makes_it_small_but_not_below_twice_the_sessions() -> None:
    window = Window(2)
    window.served(1.0)
    assert window.advertised(1) == 4


def test_it_follows_the_formula_and_is_shared_by_proxies() -> None:
    window = Window(2)
    window.served(0.001)
    assert window.advertised(1) == 12
    assert window.advertised(3) == 4
    assert window.advertised(1000) == 1


def test_the_mean_moves_slowly() -> None:
    window = Window(2)
    window.served(0.001)
    window.served(0.021)
    assert abs(window.mean_service_s - 0.002) < 1e-9
