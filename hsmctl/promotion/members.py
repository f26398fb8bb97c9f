"""The members of a store, as one of them lists them, and what a new one needs there."""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from hsmctl.failures import CommandError
from hsmctl.promotion.host import Host, LocalStore
from hsmctl.promotion.programs import etcdctl, run

HEALTHY_S: Final = 20.0
"""For members to take a new one: for the first five seconds after a start they say that they are unhealthy."""
SYNC_S: Final = 300.0
"""For a new member to get all data: 4 GB, the largest store, over a slow line."""
POLL_S: Final = 0.25


class Member(msgspec.Struct, frozen=True):
    """One of them."""

    id: int = msgspec.field(name="ID")
    peer_urls: list[str] = msgspec.field(name="peerURLs")
    name: str = ""
    """Empty until it was started."""
    is_learner: bool = msgspec.field(name="isLearner", default=False)


class _Members(msgspec.Struct, frozen=True):
    members: list[Member]


class Members:
    """Asked at one of them."""

    def __init__(self, host: Host, store: LocalStore) -> None:
        self._host = host
        self._store = store

    def all(self) -> list[Member]:
        """Return them.

        Raises:
            CommandError: it does not answer.
        """
        said = self._ask(f"the member {self._store.endpoint} does not list the others", "list", "-w", "json")
        try:
            return msgspec.json.decode(said, type=_Members).members
        except msgspec.DecodeError:
            raise CommandError(f"etcdctl lists the members of {self._store.endpoint} in an unknown form") from None

    def add(self, name: str, peer_urls: str) -> None:
        """Have them expect a new one, which has no vote before it has all data.

        Raises:
            CommandError: they do not.
        """
        words = ("add", name, "--learner", f"--peer-urls={peer_urls}")
        _until(HEALTHY_S, lambda: self._ask(f"{self._store.endpoint} does not take {name} as a member", *words))

    def await_answer(self) -> None:
        """Wait until the member itself serves nodes.

        Raises:
            CommandError: it does not.
        """
        _until(HEALTHY_S, self.all)

    def promote(self, member: Member) -> None:
        """Give a member its vote as soon as it has all data.

        Raises:
            CommandError: it does not come so far.
        """
        what = f"{member.name or 'the new member'} does not get all data of {self._store.endpoint}"
        _until(SYNC_S, lambda: self._ask(what, "promote", f"{member.id:x}"))

    def _ask(self, what: str, *words: str) -> str:
        advice = "look into the members' logs, then run this again"
        return run(etcdctl(self._host, self._store, "member", *words), what, advice)


def _until(limit_s: float, ask: Callable[[], object]) -> None:
    deadline = time.monotonic() + limit_s
    while True:
        try:
            ask()
        except CommandError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(POLL_S)
        else:
            return
