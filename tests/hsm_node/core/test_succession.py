"""What a new configuration changes in the master keys of a running node."""

import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.core.succession import Change, SuccessionError, change_of


def fingerprint(letter: str) -> bytes:
    return Keyring(letter.encode() * 32).fingerprint()


def ring(letters: str, used: int = 0) -> Keyring:
    """Return a ring that holds these keys as versions 1, 2..., and uses the one at that place."""
    made = Keyring(letters[0].encode() * 32)
    for letter in letters[1:]:
        made.hold(letter.encode() * 32, 2)
    made.use(used + 1)
    return made


@pytest.mark.parametrize(
    ("held", "used", "master", "following", "change"),
    [
        ("A", 0, "A", None, Change()),
        ("A", 0, "A", "B", Change(hold=True)),
        ("A", 0, None, "B", Change(hold=True)),
        ("AB", 0, "A", "B", Change()),
        ("AB", 0, "A", None, Change(restart=True)),
        ("AB", 0, "A", "C", Change(restart=True)),
        ("AB", 1, "A", "B", Change()),
        ("AB", 1, "B", None, Change(drop=1)),
        ("AB", 1, "B", "C", Change(drop=1, hold=True)),
        ("AB", 1, None, None, Change(drop=1)),
        ("AB", 1, None, "B", Change()),
    ],
)
def test_what_is_held_and_forgotten(
    held: str, used: int, master: str | None, following: str | None, change: Change
) -> None:
    wanted = [None if letter is None else fingerprint(letter) for letter in (master, following)]
    assert change_of(ring(held, used), *wanted, settled=True) == change


@pytest.mark.parametrize(
    ("held", "used", "master", "following", "said"),
    [
        ("A", 0, "A", "A", "same key"),
        ("A", 0, "B", None, "the one in use"),
        ("A", 0, "B", "C", "the one in use"),
        ("AB", 0, "B", None, "comes first"),
        ("AB", 0, "B", "A", "exchange"),
        ("AB", 1, "B", "A", "exchange"),
        ("AB", 1, "A", None, "the one in use"),
        ("AB", 1, "A", "C", "the one in use"),
    ],
)
def test_what_cannot_be_is_refused(held: str, used: int, master: str | None, following: str | None, said: str) -> None:
    wanted = [None if letter is None else fingerprint(letter) for letter in (master, following)]
    with pytest.raises(SuccessionError, match=said):
        change_of(ring(held, used), *wanted, settled=True)


@pytest.mark.parametrize("following", [None, "C"])
def test_the_old_key_is_kept_until_nothing_is_under_it(following: str | None) -> None:
    wanted = None if following is None else fingerprint(following)
    with pytest.raises(SuccessionError, match="status"):
        change_of(ring("AB", 1), fingerprint("B"), wanted, settled=False)
