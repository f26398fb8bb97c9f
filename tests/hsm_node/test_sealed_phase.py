"""A sealed node says that it is, and how many shares it has."""

from pathlib import Path

import pytest
from shamir_mnemonic import generate_mnemonics

from hsm_daemon import clock
from hsm_node.config import load_node_config
from hsm_node.core.unsealing import Unsealing
from hsm_node.phase import Facts
from hsm_node.sealed_phase import SealedPhase


@pytest.fixture
def facts(node_folder: Path) -> Facts:
    return Facts(*load_node_config(node_folder / "node.toml"), b"b" * 16)


def test_it_is_in_no_rotation_and_speaks_of_no_store(facts: Facts) -> None:
    phase = SealedPhase(facts, Unsealing(60.0))
    pong = phase.pong()
    assert (phase.sealed, phase.ready, phase.keys) == (True, False, 0)
    assert (pong.state, pong.cluster_id, pong.epoch, pong.store_contact) == ("sealed", b"", 0, "stale")
    assert (phase.gauges(), phase.labels()) == ([], [])
    phase.reconfigured()
    phase.beat()
    phase.served(1, 0.1)


def test_it_tells_how_many_shares_it_has_and_forgets_them_in_time(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsealing = Unsealing(60.0)
    phase = SealedPhase(facts, unsealing)
    assert phase.status()["shares"] == {"given": 0, "needed": None}
    now = clock.monotonic()
    unsealing.give(generate_mnemonics(1, [(3, 5)], bytes(32), iteration_exponent=0)[0][0].encode(), now)
    phase.sweep()
    assert phase.status()["shares"] == {"given": 1, "needed": 3}
    monkeypatch.setattr(clock, "monotonic", lambda: now + 60.0)
    phase.sweep()
    assert phase.status()["shares"]["given"] == 0


def test_what_it_was_given_does_not_outlive_it(facts: Facts) -> None:
    unsealing = Unsealing(60.0)
    unsealing.give(generate_mnemonics(1, [(2, 2)], bytes(32), iteration_exponent=0)[0][0].encode(), 0.0)
    SealedPhase(facts, unsealing).close()
    assert unsealing.given == 0


def test_a_node_whose_key_comes_from_elsewhere_speaks_of_no_shares(facts: Facts) -> None:
    phase = SealedPhase(facts)
    phase.sweep()
    phase.close()
    assert "shares" not in phase.status()
