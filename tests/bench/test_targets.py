"""What is asked of the proxy beside others."""

from bench.targets import Row, Target, ratio


def row(peer: str, cost: float | None, build: str = "python") -> Row:
    return {
        "workload": "64-sync",
        "size": 128,
        "tls": False,
        "peer": peer,
        "build": build,
        "cpu_us_per_request": cost,
    }


TARGET = Target("64-sync", False, "haproxy", 0.75)


def test_the_ratio_is_ours_divided_by_the_peers() -> None:
    assert ratio([row("redoubt", 6.0), row("haproxy", 12.0)], TARGET) == 0.5


def test_builds_are_told_apart() -> None:
    rows = [row("redoubt", 6.0), row("redoubt", 3.0, "compiled"), row("haproxy", 12.0)]
    assert ratio(rows, TARGET, "compiled") == 0.25


def test_an_absent_peer_has_no_ratio() -> None:
    assert ratio([row("redoubt", 6.0)], TARGET) is None
    assert ratio([row("redoubt", 6.0), row("haproxy", None)], TARGET) is None
