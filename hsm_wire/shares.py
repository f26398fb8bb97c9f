"""Shares of a master key: what the body of UNSEAL means.

A share is 33 words of SLIP-39: which set it is of, its number, how many of the set make the key, 32 bytes, and a
checksum that finds any three wrong words. As many shares as the set's threshold make the key; fewer tell nothing of it.
A secret is in no text and no `repr` here: a wrong word is told by its place.
"""

from collections.abc import Sequence
from typing import Final

from shamir_mnemonic import MnemonicError, recover_ems
from shamir_mnemonic import Share as Words
from shamir_mnemonic.shamir import ShareGroup
from shamir_mnemonic.wordlist import WORD_INDEX_MAP

MASTER_KEY_BYTES: Final = 32
SHARE_WORDS: Final = 33
"""That 32 bytes and what stands with them take."""
MIN_THRESHOLD: Final = 2
"""A set of which one share is enough protects nothing."""
MAX_SHARES: Final = 16
"""Of one set: a share has four bits for its number."""
MAX_ITERATION_EXPONENT: Final = 4
"""Of the key stretching that SLIP-39 has for passphrases: about 0.2 s. We use none, but other programs' shares are
taken; one that asks for hours of it is not."""


class ShareError(Exception):
    """A share, or a set of them, is not what it should be; str() is one sentence that quotes nothing of it."""


class Share:
    """One share whose checksum is right."""

    __slots__ = ("_words",)

    def __init__(self, words: Words) -> None:
        self._words = words

    def __repr__(self) -> str:
        return f"Share(set={self.set_name}, number={self.number}, <secret>)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Share) and self._words == other._words

    def __hash__(self) -> int:
        return hash((self.set_name, self.number))

    @property
    def set_name(self) -> str:
        """Four hexadecimal digits, by chance: all shares of one splitting have the same."""
        return f"{self._words.identifier:04x}"

    @property
    def number(self) -> int:
        """Which share of the set it is, from 1."""
        return self._words.index + 1

    @property
    def threshold(self) -> int:
        """How many shares of the set make the key."""
        return self._words.member_threshold

    def is_of_the_set_of(self, other: "Share") -> bool:
        """Whether both say that they were made by the same splitting."""
        return self._words.group_parameters() == other._words.group_parameters()


def read_share(text: str) -> Share:
    """Return the share that these words are, however they are spaced and capitalised.

    Raises:
        ShareError: they are none.
    """
    words = text.lower().split()
    unknown = [str(place) for place, word in enumerate(words, 1) if word not in WORD_INDEX_MAP]
    if len(words) != SHARE_WORDS:
        raise ShareError(f"a share has {SHARE_WORDS} words, this has {len(words)}")
    if unknown:
        raise ShareError(f"not a word of the list: number {', '.join(unknown)}")
    try:
        share = Words.from_mnemonic(" ".join(words))
    except MnemonicError:
        raise ShareError("the checksum is wrong: a word is another one, or two are exchanged") from None
    if share.group_count != 1 or share.member_threshold < MIN_THRESHOLD:
        raise ShareError("it is not of a set made for a master key: one group, and a threshold of at least 2")
    if share.iteration_exponent > MAX_ITERATION_EXPONENT:
        raise ShareError(f"its iteration exponent is {share.iteration_exponent}, at most {MAX_ITERATION_EXPONENT} goes")
    return Share(share)


def combine(shares: Sequence[Share]) -> bytes:
    """Return the master key that a threshold of different shares of one set makes.

    Raises:
        ShareError: they do not belong together, although they say so.
    """
    group = ShareGroup()
    try:
        for share in shares:
            group.add(share._words)
        key = recover_ems({0: group} if shares else {}).decrypt(b"")
    except MnemonicError:
        raise ShareError("the shares do not belong together: they make no key") from None
    return key
