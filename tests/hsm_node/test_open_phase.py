"""A node with keys says what it has and how it is."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hsm_node.open_phase import OpenPhase
from hsm_node.store.base import StoreError
from hsm_wire.messages import StoreMember


async def test_pong_and_status_agree(start_node: Callable[..., Any]) -> None:
    node = start_node()
    await node.client()
    phase = OpenPhase(node.node.facts, node.keystore)
    pong, status = phase.pong(), phase.status()
    assert (pong.state, status["state"], phase.ready, phase.sealed, phase.keys) == ("up", "up", True, False, 0)
    assert (pong.boot_id.hex(), pong.window) == (status["boot_id"], status["window"])
    assert (pong.cluster_id, pong.epoch) == (node.store.cluster_id, 1)
    assert phase.service is node.keystore.service
    assert {gauge.name for gauge in phase.gauges()} >= {"keys", "store_current"}
    assert next(labels.name for labels in phase.labels()) == "administrative_state"
    phase.beat()
    phase.sweep()
    phase.served(2, 0.001)
    phase.reconfigured()
    assert node.keystore.nodes == ["node-1"]
    assert node.keystore.drills.settings is node.node.facts.config.recovery


async def test_without_its_store_it_is_stale_and_not_ready(
    start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    await node.client()
    phase = OpenPhase(node.node.facts, node.keystore)

    def fail() -> bool:
        raise StoreError("away")

    monkeypatch.setattr(node.store, "changed", fail)
    assert not phase.ready
    assert phase.pong().state == phase.status()["state"] == phase.pong().store_contact == "stale"


async def test_a_device_that_gives_fewer_sessions_gets_less(
    start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Link:
        reason, locked, sessions = "", False, 9

    node = start_node()
    await node.client()
    node.node.facts.config = msgspec.structs.replace(node.config, sessions=8)
    link, window = Link(), node.keystore.window
    phase = OpenPhase(node.node.facts, node.keystore, link)  # type: ignore[arg-type]  # all that is asked of it
    monkeypatch.setattr(window, "mean_service_s", 1.0)
    monkeypatch.setattr(window, "_measurements", 100)
    proxies = node.node.facts.proxies()
    for given, sessions in ((9, 8), (4, 3), (1, 1), (9, 8)):
        link.sessions = given
        pong = phase.pong()
        assert (pong.sessions, pong.window * proxies) == (sessions, 2 * sessions)
        assert phase.status()["sessions"] == sessions


async def test_it_says_which_stored_keys_it_cannot_use(
    start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    await node.client()
    phase, reason = OpenPhase(node.node.facts, node.keystore), "it cannot use keys of type ed25519 (1 stored)"
    assert (phase.pong().reason, phase.pong().backend) == ("", "software")
    monkeypatch.setattr(type(node.keystore.offers), "lacks", reason)
    pong, status = phase.pong(), phase.status()
    assert (pong.state, pong.reason, phase.ready) == ("lacking", reason, True)
    assert (status["state"], status["reason"]) == ("lacking", reason)
    monkeypatch.setattr(type(node.keystore.promotion), "standby", True)
    assert (phase.pong().state, phase.pong().reason) == ("standby", reason)


async def test_it_says_how_old_its_copy_of_the_store_is(
    start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    await node.client()
    phase = OpenPhase(node.node.facts, node.keystore)
    monkeypatch.setattr(type(node.keystore.follower), "lag_s", 1.25)
    assert phase.pong().lag_ms == phase.status()["lag_ms"] == 1250
    monkeypatch.setattr(type(node.keystore.follower), "lag_s", None)
    assert phase.pong().lag_ms is None


async def test_it_says_which_nodes_are_out_and_which_members_of_the_store_cannot_be_used(
    start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    await node.client()
    phase, store = OpenPhase(node.node.facts, node.keystore), type(node.store)
    assert (phase.pong().nodes_out, phase.pong().store_members) == ([], [])
    monkeypatch.setattr(store, "out", ["node-2"])
    monkeypatch.setattr(store, "members", {"10.0.0.1:2379": "", "10.0.0.2:2379": "x" * 300})
    pong = phase.pong()
    assert pong.nodes_out == ["node-2"]
    assert pong.store_members == [StoreMember("10.0.0.1:2379"), StoreMember("10.0.0.2:2379", "x" * 256)]
