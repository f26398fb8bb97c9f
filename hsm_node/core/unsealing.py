"""What a sealed node does with the shares of its master key that people give it: shares in, verdicts out.

Theory. Whoever brings a share cannot know what the others bring, so each is judged alone first: a slip of the pen costs
that one share and not the set. All that are kept are of one set, because only those can make a key. Whether it is the
right key the store says; when it is not, nobody knows which share is to blame, so all are forgotten. An incomplete set
is kept for a while only: half a set that lies in memory for ever halves what a thief still needs.
"""

from typing import Final

import msgspec

from hsm_node.core.refusal import Refusal
from hsm_wire.limits import MAX_SHARE_CHARACTERS
from hsm_wire.shares import Share, ShareError, combine, read_share
from hsm_wire.statuses import Status

FORGET: Final = b""
"""A share of no bytes asks to forget those that were given."""


class Progress(msgspec.Struct, frozen=True):
    """How far the unsealing is, after one share."""

    set_name: str
    number: int
    """Of the share that was given."""
    given: int
    needed: int
    """All that the set takes, not what is still missing."""
    again: bool
    """That share had been given already."""

    @property
    def complete(self) -> bool:
        """Whether the key can be made."""
        return self.given == self.needed


class Unsealing:
    """The shares that were given so far, all of one set."""

    def __init__(self, keep_s: float) -> None:
        """Start with none; an incomplete set is kept for `keep_s` after its last share."""
        self._keep_s = keep_s
        self._shares: dict[int, Share] = {}
        self._until = 0.0
        self.refused = 0
        """Shares that were not taken."""
        self.failed = 0
        """Complete sets that did not open the store."""

    def __repr__(self) -> str:
        return f"Unsealing(given={self.given}, needed={self.needed}, <secret>)"

    @property
    def given(self) -> int:
        """Shares that are kept."""
        return len(self._shares)

    @property
    def needed(self) -> int:
        """Shares that the set takes; 0 while there is none: the first one says it."""
        return next((share.threshold for share in self._shares.values()), 0)

    @property
    def set_name(self) -> str:
        """Of the shares that are kept; empty while there is none."""
        return next((share.set_name for share in self._shares.values()), "")

    def give(self, words: bytes, now: float) -> Progress:
        """Take a share. The same one again changes nothing but the time.

        Raises:
            Refusal: it is no share, or of another set; those that were given stay.
        """
        self.sweep(now)
        try:
            share = self._checked(words)
        except Refusal:
            self.refused += 1
            raise
        again = share.number in self._shares
        self._shares[share.number] = share
        self._until = now + self._keep_s
        return Progress(share.set_name, share.number, self.given, self.needed, again)

    def take_key(self) -> bytes:
        """Return the key that the complete set makes; the shares are forgotten, whatever comes of it.

        Raises:
            Refusal: they make none.
        """
        shares = list(self._shares.values())
        self.forget()
        try:
            return combine(shares)
        except ShareError as error:
            raise Refusal(Status.BAD_DATA, f"{error}; all are forgotten, give the right ones") from None

    def forget(self) -> int:
        """Forget what was given; return how many shares that were."""
        forgotten = self.given
        self._shares.clear()
        return forgotten

    def sweep(self, now: float) -> int:
        """Forget an incomplete set whose time is over; return how many shares that were."""
        return self.forget() if self._shares and now >= self._until else 0

    def _checked(self, words: bytes) -> Share:
        if len(words) > MAX_SHARE_CHARACTERS:
            raise Refusal(Status.BAD_DATA, f"a share has at most {MAX_SHARE_CHARACTERS} characters; send one alone")
        try:
            share = read_share(words.decode("ascii", "replace"))
        except ShareError as error:
            raise Refusal(Status.BAD_DATA, f"{error}; nothing was taken, look at it again") from None
        other = next(iter(self._shares.values()), share)
        if not share.is_of_the_set_of(other):
            raise Refusal(
                Status.BAD_DATA,
                f"this share is of set {share.set_name}, those given are of set {other.set_name}; give one of "
                "theirs, or have them forgotten (an empty share) to begin anew",
            )
        if self._shares.get(share.number, share) != share:
            raise Refusal(
                Status.BAD_DATA,
                f"share {share.number} was given already, and is another one; two sets have the name {share.set_name}",
            )
        return share
