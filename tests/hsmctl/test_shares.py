"""Any k of the shares that are made are the key again; nothing that exists is overwritten."""

from itertools import combinations
from pathlib import Path

import pytest

from hsm_wire.shares import combine, read_share
from hsmctl import shares
from hsmctl.failures import USAGE, CommandError

KEY = bytes(range(32))


def test_new_keys_differ_and_have_their_length() -> None:
    assert len(shares.new_master_key()) == 32
    assert shares.new_master_key() != shares.new_master_key()


def test_any_threshold_of_them_is_the_key_again() -> None:
    made = [read_share(words) for words in shares.split(KEY, 3, 5)]
    assert {share.number for share in made} == {1, 2, 3, 4, 5}
    assert {share.threshold for share in made} == {3}
    assert all(combine(some) == KEY for some in combinations(made, 3))


def test_two_splittings_of_one_key_do_not_mix() -> None:
    one, two = (read_share(shares.split(KEY, 2, 2)[number]) for number in (0, 1))
    assert not one.is_of_the_set_of(two) or one.set_name == two.set_name


def test_a_threshold_that_can_never_be_reached_is_refused() -> None:
    with pytest.raises(CommandError, match="can never be reached") as refused:
        shares.split(KEY, 4, 3)
    assert refused.value.exit_code == USAGE


def test_shares_that_would_not_make_the_key_are_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "combine", lambda _shares: bytes(32))
    with pytest.raises(CommandError, match="nothing was written"):
        shares.split(KEY, 2, 2)


def test_the_key_of_a_nodes_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    file.write_text(KEY.hex() + "\n")
    assert shares.read_master_key(str(file)) == KEY


@pytest.mark.parametrize("content", ["", "ab" * 31, "ab" * 33, "zz" * 32, "é" * 32])
def test_anything_else_is_refused_without_quoting_it(tmp_path: Path, content: str) -> None:
    file = tmp_path / "master.key"
    file.write_text(content)
    with pytest.raises(CommandError, match="holds no master key") as refused:
        shares.read_master_key(str(file))
    assert not content or content not in str(refused.value)


def test_a_file_for_each_share_and_none_that_exists(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "shares"
    files = shares.share_files(folder, 2)
    assert [file.name for file in files] == ["share-1-of-2.txt", "share-2-of-2.txt"]
    assert folder.stat().st_mode & 0o777 == 0o700
    files[1].touch()
    with pytest.raises(CommandError, match="exists"):
        shares.share_files(folder, 2)


def test_shares_of_one_set_make_its_key_and_no_more_are_asked_for_than_it_takes() -> None:
    made = [read_share(words) for words in shares.split(KEY, 3, 5)]
    asked = iter([made[4], made[4], made[0], made[2], made[1]])
    assert shares.master_key_of(asked) == KEY
    assert next(asked) == made[1]


def test_too_few_shares_and_those_of_two_sets_make_none(monkeypatch: pytest.MonkeyPatch) -> None:
    identifiers = iter((7, 8, 7))
    monkeypatch.setattr("shamir_mnemonic.shamir._random_identifier", lambda: next(identifiers))
    one, two, same_name = ([read_share(words) for words in shares.split(KEY, 2, 2)] for _ in range(3))
    for given, said in (
        ([], "0 different shares were given, the set takes 2"),
        ([one[0], one[0]], "1 different shares were given"),
        ([one[0], two[1]], "a share of set 0008 after one of set 0007"),
        ([one[0], same_name[1]], "do not belong together"),
    ):
        with pytest.raises(CommandError, match=said):
            shares.master_key_of(iter(given))
