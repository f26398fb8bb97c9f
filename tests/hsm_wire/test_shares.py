"""Shares are taken by their checksum, and nothing of them is shown."""

import pytest
from shamir_mnemonic import generate_mnemonics

from hsm_wire.limits import MAX_SHARE_CHARACTERS
from hsm_wire.shares import (
    MAX_ITERATION_EXPONENT,
    MAX_SHARES,
    SHARE_WORDS,
    Share,
    ShareError,
    combine,
    read_share,
)

KEY = bytes(range(32))
# Made once by generate_mnemonics(1, [(3, 5)], KEY, iteration_exponent=4) of shamir-mnemonic 0.3.0.
FIRST = (
    "unkind view academic acne acrobat clay greatest promise quick species simple elegant damage advance fiber geology "
    "spider national maximum coastal loud elevator merit maximum cowboy decent corner mailman animal bishop employer "
    "arcade vitamins"
)


def make(threshold: int = 3, count: int = 5, key: bytes = KEY, exponent: int = 0) -> list[str]:
    return generate_mnemonics(1, [(threshold, count)], key, iteration_exponent=exponent)[0]


def test_a_share_says_its_set_its_number_and_its_threshold() -> None:
    share = read_share(FIRST)
    assert (share.set_name, share.number, share.threshold) == ("779e", 1, 3)
    assert repr(share) == "Share(set=779e, number=1, <secret>)"


def test_spaces_line_ends_and_capitals_do_not_matter() -> None:
    assert read_share("  " + FIRST.upper().replace(" ", "\n\t ") + "\n") == read_share(FIRST)


def test_shares_are_equal_when_all_of_them_is() -> None:
    one, two = map(read_share, make()[:2])
    assert one != two
    assert one != "share"
    assert len({one, two, one}) == 2


@pytest.mark.parametrize(("threshold", "count"), [(2, 2), (2, 3), (3, 5), (16, MAX_SHARES)])
def test_any_threshold_of_a_set_makes_the_key(threshold: int, count: int) -> None:
    shares = [read_share(words) for words in make(threshold, count)]
    assert [share.number for share in shares] == list(range(1, count + 1))
    assert combine(shares[:threshold]) == combine(shares[-threshold:]) == KEY
    assert combine(shares[::-1][:threshold]) == KEY


def test_fewer_or_more_than_the_threshold_make_none() -> None:
    shares = [read_share(words) for words in make(3, 5)]
    for some in (shares[:2], shares[:4], []):
        with pytest.raises(ShareError, match="do not belong together"):
            combine(some)


def test_shares_of_two_sets_make_no_key() -> None:
    one, two = (list(map(read_share, make(2, 2))) for _ in range(2))
    assert one[0].is_of_the_set_of(one[1])
    assert not one[0].is_of_the_set_of(two[1])
    with pytest.raises(ShareError, match="do not belong together"):
        combine([one[0], two[1]])


def test_a_set_that_only_seems_to_be_one_makes_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shamir_mnemonic.shamir._random_identifier", lambda: 7)
    one, two = (list(map(read_share, make(2, 2))) for _ in range(2))
    assert one[0].is_of_the_set_of(two[1])
    with pytest.raises(ShareError, match="do not belong together"):
        combine([one[0], two[1]])


def replaced(place: int, word: str) -> str:
    words = FIRST.split()
    words[place] = word
    return " ".join(words)


@pytest.mark.parametrize("place", range(SHARE_WORDS))
def test_one_wrong_word_anywhere_is_found_and_not_shown(place: int) -> None:
    word = "zero" if FIRST.split()[place] != "zero" else "yoga"
    with pytest.raises(ShareError, match="checksum") as refused:
        read_share(replaced(place, word))
    assert not set(FIRST.split()) & set(str(refused.value).split())
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "33 words, this has 0"),
        (FIRST.rsplit(" ", 1)[0], "this has 32"),
        (f"{FIRST} {FIRST}", "this has 66"),
        (replaced(4, "secretword"), "number 5$"),
        (replaced(0, "\ufffd"), "number 1$"),
    ],
)
def test_what_is_no_share_is_told_by_its_place(text: str, said: str) -> None:
    with pytest.raises(ShareError, match=said) as refused:
        read_share(text)
    assert "secretword" not in str(refused.value)


def test_sets_that_are_not_ours_are_refused() -> None:
    groups = generate_mnemonics(2, [(2, 2), (2, 2)], KEY)
    alone = generate_mnemonics(1, [(1, 1)], KEY)
    for words in (groups[0][0], alone[0][0]):
        with pytest.raises(ShareError, match="one group"):
            read_share(words)


def test_a_share_that_would_take_hours_to_use_is_refused() -> None:
    assert combine([read_share(words) for words in make(2, 2, exponent=1)]) == KEY
    from shamir_mnemonic import Share as Words

    words = Words(1, True, MAX_ITERATION_EXPONENT + 1, 0, 1, 1, 0, 2, KEY).mnemonic()
    with pytest.raises(ShareError, match="iteration exponent is 5"):
        read_share(words)


def test_the_longest_share_fits_into_its_limit() -> None:
    assert SHARE_WORDS * (8 + 1) < MAX_SHARE_CHARACTERS
    assert isinstance(read_share(FIRST), Share)
