"""Both productive sites are lost while keys are made: what `make losses` does again and again, and how it judges."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from data_centres import Dev
from key_history import ENABLED, GONE, Change, KeyHistory, Seen
from loss_clients import BEFORE, DR, DR_SITE, PENDING, QUORUM, Made, Used
from loss_rules import FEW, RTO_S, Loss, judge, judge_changes, judge_clients
from losses import HEAD, lose, row

pytestmark = pytest.mark.alone

BEHIND_S = 12.0
"""Two looks of the DR node at its copy: it knows that it is behind."""
PUBLIC = ec.generate_private_key(ec.SECP256R1()).public_key()
LOST_AT, GONE_AT = 100.0, 100.01


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    """Two data centres and a DR site."""
    running = Dev(tmp_path / "dc")
    yield running
    running.stop()


def shown(loss: Loss, count: Callable[[str, float], None]) -> None:
    print(f"{HEAD}\n{row(loss)}", *loss.broken, sep="\n")
    count("keys acknowledged before the loss", loss.keys.total())
    count("of these, lost", loss.lost.total())
    count("keys destroyed before the loss, and tried after it", loss.ended.total())
    count("seconds until the DR site served", loss.process_s)


def test_what_was_acknowledged_is_there_after_one_command_and_clients_go_on(
    dev: Dev, count: Callable[[str, float], None]
) -> None:
    loss = lose(dev, int.from_bytes(os.urandom(4)))
    shown(loss, count)
    assert loss.broken == []


def test_what_a_copy_that_stood_still_lacks_is_lost_and_nothing_that_it_was_sure_of(
    dev: Dev, count: Callable[[str, float], None]
) -> None:
    loss = lose(dev, int.from_bytes(os.urandom(4)), BEHIND_S)
    shown(loss, count)
    assert loss.broken == []
    assert loss.lag_s is not None
    assert loss.lag_s > 1.0
    assert loss.lost[QUORUM] > FEW
    assert loss.lost[DR] == 0


# ---- the rules


def judged(lag_s: float | None, *lost: tuple[str, float]) -> list[str]:
    """Return what is broken where keys of these kinds are lost, which were acknowledged so long before the loss."""
    kept = [Made(bytes([number]), PUBLIC, kind, 50.0) for number in range(FEW) for kind in (DR, QUORUM)]
    made = [Made(bytes([100 + number]), PUBLIC, kind, LOST_AT - ago) for number, (kind, ago) in enumerate(lost)]
    loss = Loss(0, lag_s=lag_s)
    judge(loss, [*kept, *made], {key.key_id: "KEY_NOT_FOUND" for key in made}, LOST_AT, GONE_AT)
    assert loss.lost.total() == len(lost)
    return loss.broken


@pytest.mark.parametrize(
    ("lag_s", "kind", "ago_s", "broken"),
    [
        (0.2, QUORUM, 0.9, False),
        (0.2, QUORUM, 1.1, True),
        (5.0, QUORUM, 1.1, False),
        (None, QUORUM, 1.1, False),
        (0.2, DR, 0.01, True),
        (5.0, DR, 0.01, True),
        (0.2, PENDING, 3.0, False),
        (0.2, BEFORE, LOST_AT, True),
        (0.2, QUORUM, -5.0, True),
    ],
)
def test_which_lost_key_breaks_a_promise(lag_s: float | None, kind: str, ago_s: float, broken: bool) -> None:
    assert bool(judged(lag_s, (kind, ago_s))) is broken


def test_too_few_keys_prove_nothing() -> None:
    loss = Loss(0, lag_s=0.2)
    judge(loss, [], {}, LOST_AT, GONE_AT)
    assert len(loss.broken) == 2


@pytest.mark.parametrize(
    ("lag_s", "durability", "ago_s", "named", "broken"),
    [
        (0.2, DR, 0.01, (), True),
        (0.2, DR, 0.01, (DR_SITE,), False),
        (0.2, QUORUM, 0.9, (), False),
        (0.2, QUORUM, 1.1, (), True),
        (5.0, QUORUM, 1.1, (), False),
        (None, QUORUM, 1.1, (), False),
        (5.0, DR, 1.1, (), True),
    ],
)
def test_which_destroyed_key_may_serve_after_the_promotion(
    lag_s: float | None, durability: str, ago_s: float, named: tuple[str, ...], broken: bool
) -> None:
    history = KeyHistory(recovery_sites=frozenset({DR_SITE}))
    for number in range(FEW):
        for kind in (DR, QUORUM):
            history.changes.append(Change(f"{kind} {number}", GONE, 49.9, 50.0, durability=kind))
    history.changes += [
        Change("key", ENABLED, 60.0, 60.1, durability=DR, creates=True),
        Change("key", GONE, LOST_AT - ago_s - 0.1, LOST_AT - ago_s, unconfirmed=named, durability=durability),
    ]
    history.seen.append(Seen("key", ENABLED, 106.0, 106.1))
    loss = Loss(0, lag_s=lag_s)
    judge_changes(loss, history, LOST_AT, 105.0)
    assert [line.split(":")[0] for line in loss.broken] == ["destroyed keys serve nothing"] * broken
    assert loss.ended.total() == 2 * FEW + 1


def test_too_few_destroyed_keys_prove_nothing() -> None:
    loss = Loss(0, lag_s=0.2)
    judge_changes(loss, KeyHistory(), LOST_AT, 105.0)
    assert len(loss.broken) == 2


def test_clients_go_on_without_a_failure_after_the_command_and_it_is_fast() -> None:
    loss = Loss(0, process_s=5.0)
    before, between = Used(1, 99.0, 99.1, ""), Used(1, 100.5, 103.0, "UNAVAILABLE")
    judge_clients(loss, [before, between, Used(1, 103.1, 106.0, "")], GONE_AT, 105.0)
    assert (loss.broken, round(loss.pause_s, 2)) == ([], 5.99)
    judge_clients(loss, [before, between, Used(2, 105.1, 105.2, "UNAVAILABLE")], GONE_AT, 105.0)
    assert [line.split(" ", 1)[1] for line in loss.broken] == [
        "clients did not go on",
        "requests failed after the promotion",
    ]
    slow = Loss(0, process_s=RTO_S + 1)
    judge_clients(slow, [], GONE_AT, 105.0)
    assert len(slow.broken) == 1
