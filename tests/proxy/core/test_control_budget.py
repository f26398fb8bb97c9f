"""What one identity may ask of the proxy itself."""

import pytest

from proxy.core.control_budget import ControlBudget
from proxy.core.settings import Limits

LIMITS = Limits(identity_control_per_s=100.0, identity_control_burst=10)


def test_a_burst_is_free_and_what_goes_beyond_it_is_waited_for():
    budget = ControlBudget()
    assert budget.spend(10, LIMITS, 5.0) == 0.0
    assert budget.spend(1, LIMITS, 5.0) == pytest.approx(0.01)
    assert budget.spend(20, LIMITS, 5.0) == pytest.approx(0.21)


def test_it_fills_with_time_up_to_its_burst():
    budget = ControlBudget()
    budget.spend(30, LIMITS, 5.0)
    assert budget.spend(1, LIMITS, 5.2) == pytest.approx(0.01)
    assert budget.spend(10, LIMITS, 99.0) == 0.0
    assert budget.spend(1, LIMITS, 99.0) > 0.0
