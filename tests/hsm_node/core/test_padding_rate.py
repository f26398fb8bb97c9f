import pytest

from hsm_node.core.limits import DEFAULTS
from hsm_node.core.padding_rate import PaddingRate
from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status

ONE, OTHER = (1, b"k" * 16), (1, b"o" * 16)
GUESSES_A_BLOCK = 16 * 128
NODES = 4


def test_above_the_rate_a_key_is_refused_and_told_when_to_come_back() -> None:
    rate = PaddingRate(10.0, 3)
    for _ in range(3):
        rate.take(ONE, 100.0)
    with pytest.raises(Refusal, match="limited rate") as refused:
        rate.take(ONE, 100.0)
    assert (refused.value.status, refused.value.not_executed, rate.refused) == (Status.OVERLOADED, True, 1)
    assert 100 <= refused.value.retry_after_ms <= 101
    rate.take(ONE, 100.0 + refused.value.retry_after_ms / 1000)


def test_each_key_has_a_rate_of_its_own() -> None:
    rate = PaddingRate(10.0, 1)
    rate.take(ONE, 100.0)
    rate.take(OTHER, 100.0)
    with pytest.raises(Refusal):
        rate.take(ONE, 100.0)


def test_what_is_full_again_is_forgotten_and_nothing_else_is() -> None:
    rate = PaddingRate(1.0, 10)
    for _ in range(10):
        rate.take(ONE, 100.0)
    rate.take(OTHER, 100.0)
    rate.sweep(105.0)
    assert len(rate) == 1
    rate.sweep(106.0)
    rate.take(OTHER, 106.0)
    with pytest.raises(Refusal):
        for _ in range(10):
            rate.take(ONE, 106.0)
    rate.sweep(200.0)
    assert len(rate) == 0


def test_by_default_a_block_takes_an_attacker_a_minute_and_more_though_all_nodes_are_asked() -> None:
    guesses = GUESSES_A_BLOCK - NODES * DEFAULTS.padding_decryptions_burst
    assert guesses / (NODES * DEFAULTS.padding_decryptions_per_s) > 60
