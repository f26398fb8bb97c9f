"""Shares are judged alone, kept of one set only, and not for ever."""

from itertools import pairwise

import pytest
from shamir_mnemonic import generate_mnemonics

from hsm_node.core.refusal import Refusal
from hsm_node.core.unsealing import Progress, Unsealing
from hsm_wire.limits import MAX_SHARE_CHARACTERS
from hsm_wire.shares import read_share
from hsm_wire.statuses import Status

KEY = bytes(range(32))


def split(threshold: int = 3, count: int = 5, key: bytes = KEY) -> list[bytes]:
    return [words.encode() for words in generate_mnemonics(1, [(threshold, count)], key, iteration_exponent=0)[0]]


def shown_of(share: bytes, text: str) -> list[str]:
    """Return which neighbouring words of the share a text shows; single ones may be there by chance."""
    pairs = (f"{first} {second}" for first, second in pairwise(share.decode().split()))
    return [pair for pair in pairs if pair in text]


@pytest.fixture
def unsealing() -> Unsealing:
    return Unsealing(60.0)


def refused(unsealing: Unsealing, words: bytes, now: float = 0.0) -> str:
    before = (unsealing.given, unsealing.refused)
    with pytest.raises(Refusal) as refusal:
        unsealing.give(words, now)
    assert refusal.value.status is Status.BAD_DATA
    assert (unsealing.given, unsealing.refused) == (before[0], before[1] + 1)
    return refusal.value.detail


def test_enough_shares_in_any_order_make_the_key(unsealing: Unsealing) -> None:
    one, _, three, _, five = split()
    assert (unsealing.given, unsealing.needed, unsealing.set_name) == (0, 0, "")
    name = read_share(one.decode()).set_name
    assert unsealing.give(five, 0.0) == Progress(name, 5, 1, 3, again=False)
    assert unsealing.give(one, 1.0) == Progress(name, 1, 2, 3, again=False)
    last = unsealing.give(three, 2.0)
    assert last.complete
    assert (unsealing.given, unsealing.needed, unsealing.set_name) == (3, 3, name)
    assert unsealing.take_key() == KEY
    assert (unsealing.given, unsealing.needed) == (0, 0)


def test_the_same_share_again_counts_once(unsealing: Unsealing) -> None:
    one, two, *_ = split(2, 3)
    unsealing.give(one, 0.0)
    again = unsealing.give(one.upper(), 1.0)
    assert (again.given, again.again, again.complete) == (1, True, False)
    assert unsealing.give(two, 2.0).complete


def test_a_share_with_a_slip_is_refused_alone_and_not_quoted(unsealing: Unsealing) -> None:
    one, two, *_ = split(2, 3)
    unsealing.give(one, 0.0)
    words = two.split()
    wrong = b" ".join([*words[:10], b"academic" if words[10] != b"academic" else b"acid", *words[11:]])
    for bad in (wrong, b" ".join(words[:-1]), b"\xff" + two, b"hunter2 " * 33, b" ", b"x" * (MAX_SHARE_CHARACTERS + 1)):
        text = refused(unsealing, bad)
        assert not shown_of(two, text)
        assert "hunter2" not in text
    assert unsealing.give(two, 1.0).complete


def test_a_share_of_another_set_is_refused_until_the_first_is_forgotten(unsealing: Unsealing) -> None:
    one, two = split(2, 2), split(2, 2)
    unsealing.give(one[0], 0.0)
    assert "is of set" in refused(unsealing, two[1])
    assert unsealing.forget() == 1
    unsealing.give(two[0], 0.0)
    assert unsealing.give(two[1], 0.0).complete


def test_shares_of_the_same_set_name_that_differ_are_not_mixed(
    unsealing: Unsealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shamir_mnemonic.shamir._random_identifier", lambda: 7)
    one, two = split(2, 2), split(2, 2)
    unsealing.give(one[0], 0.0)
    assert "is another one" in refused(unsealing, two[0])
    assert unsealing.give(two[1], 0.0).complete
    with pytest.raises(Refusal, match="do not belong together") as refusal:
        unsealing.take_key()
    assert refusal.value.__suppress_context__
    assert unsealing.given == 0


def test_an_incomplete_set_is_forgotten_when_its_time_is_over(unsealing: Unsealing) -> None:
    one, two, three, *_ = split()
    unsealing.give(one, 0.0)
    unsealing.give(two, 59.0)
    assert unsealing.sweep(118.9) == 0
    assert unsealing.sweep(119.0) == 2
    assert unsealing.sweep(119.0) == 0
    unsealing.give(one, 120.0)
    assert unsealing.give(three, 180.0).given == 1


def test_nothing_that_is_given_is_shown(unsealing: Unsealing) -> None:
    one = split()[0]
    unsealing.give(one, 0.0)
    shown = repr(unsealing) + repr(unsealing.__dict__) + repr(unsealing.give(one, 0.0))
    assert not shown_of(one, shown)
    assert repr(unsealing) == "Unsealing(given=1, needed=3, <secret>)"
