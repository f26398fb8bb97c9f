import msgspec

from hsm_node.core.limits import DEFAULTS, Limits
from proxy.core.settings import HealthSettings


def test_every_default_is_within_its_own_bounds() -> None:
    assert msgspec.convert(msgspec.to_builtins(DEFAULTS), Limits) == DEFAULTS


def test_a_node_notices_its_stall_before_its_proxies_give_it_up() -> None:
    assert DEFAULTS.stall_s <= HealthSettings().silence_s


def test_a_node_whose_uses_wait_for_the_store_does_not_look_blocked() -> None:
    assert DEFAULTS.counting_s < HealthSettings().blocked_s
