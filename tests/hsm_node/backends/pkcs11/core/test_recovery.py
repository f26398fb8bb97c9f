"""When a device that was lost is looked for again."""

from hsm_node.backends.pkcs11.core.recovery import FIRST_WAIT_S, LONGEST_WAIT_S, STEADY_S, next_wait_s


def test_waits_double_up_to_the_longest() -> None:
    waits, wait = [], 0.0
    for _ in range(8):
        wait = next_wait_s(wait, 0.0)
        waits.append(wait)
    assert waits[:3] == [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S]
    assert waits[-1] == LONGEST_WAIT_S


def test_a_device_that_worked_for_long_begins_anew() -> None:
    assert next_wait_s(LONGEST_WAIT_S, STEADY_S) == FIRST_WAIT_S
    assert next_wait_s(LONGEST_WAIT_S, STEADY_S - 1) == LONGEST_WAIT_S
