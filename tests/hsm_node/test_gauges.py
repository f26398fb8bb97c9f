"""Every number of /metrics can be read, and has one name."""

from collections.abc import Callable
from typing import Any

from hsm_node.gauges import (
    OPERATIONAL_STATES,
    acceptor_gauges,
    configuration_labels,
    keystore_gauges,
    keystore_labels,
    shell_gauges,
    state_labels,
)


async def test_every_gauge_has_a_name_of_its_own_and_a_number(start_node: Callable[..., Any]) -> None:
    node = start_node()
    await node.client()
    gauges = [*acceptor_gauges(node.node._acceptor), *keystore_gauges(node.keystore, lambda: 2, lambda: 1)]
    names = [gauge.name for gauge in gauges]
    assert len(set(names)) == len(names)
    values = {gauge.name: gauge.read() for gauge in gauges}
    assert (values["links"], values["sessions"], values["store_current"]) == (1, 2, 1)
    assert all(value >= 0 for value in values.values())


async def test_the_administrative_state_is_one_of_three(start_node: Callable[..., Any]) -> None:
    node = start_node()
    families = {labels.name: labels.values for labels in keystore_labels(node.keystore, "node-1")}
    assert families["administrative_state"] == {"ready": 1, "drain": 0, "maintain": 0}
    await node.client()


def test_the_operational_state_is_one_hot() -> None:
    for state in OPERATIONAL_STATES:
        values = state_labels(state).values
        assert [name for name, value in values.items() if value] == [state]
    assert set(values) >= {"up", "stale", "lacking", "down", "sealed", "locked", "standby", "fenced"}


def test_without_tls_no_certificate_expires() -> None:
    gauges = [*shell_gauges(lambda: (6, 7), lambda: (8, 9), lambda: False, lambda: True)]
    assert [gauge.read() for gauge in gauges] == [6, 7, 8, 9, 0, 1]
    without_tls = shell_gauges(lambda: None, lambda: None, lambda: True, bool)
    assert not [gauge for gauge in without_tls if "certificate" in gauge.name]


def test_the_configuration_s_hash_is_a_label() -> None:
    assert configuration_labels("abc").values == {"abc": 1.0}
