"""What a measurement is asked to do does not change while it runs."""

import pytest

from hsmctl.bench.plan import LoadPlan


def test_a_plan_cannot_be_changed() -> None:
    plan = LoadPlan(clients=1, in_flight=2, seconds=3.0, total=None, rate=None, retry=True, timeout_s=10.0)
    with pytest.raises(AttributeError):
        plan.clients = 2  # type: ignore[misc] # that it is refused is what is tested
