"""Rows that the store has given, in order, until they are applied: a device may not authenticate them just now."""

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Final

from hsm_node.core.keyring import Keyring
from hsm_node.core.resealing import message_of
from hsm_node.store.base import Row, Store

EXPECTED_ROWS: Final = 2_048
"""MACs that a device makes at once while everything is loaded: some thousand lines of work for a dozen of sessions."""


class ArrivedRows:
    """What is next to be applied. Used on the event loop."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._rows: list[Row] = []

    def look(self, store: Store, applied_revision: int) -> bool:
        """Ask the store for what comes behind that revision and was not given yet; return whether to `apply`.

        Raises:
            StoreError: it cannot be read.
        """
        changed = store.changed()
        if changed:
            last = self._rows[-1].revision if self._rows else applied_revision
            self._rows += store.rows_after(last)
        return changed or bool(self._rows)

    @property
    def names(self) -> list[bytes]:
        """Of the rows that wait."""
        return [row.name for row in self._rows]

    def apply(self, apply: Callable[[Row], None], *, loading: bool) -> None:
        """Apply what was given, in order; where one raises, it and all behind it stay for later.

        Args:
            apply: takes one row.
            loading: nobody is served yet, so MACs are made many at once.
        """
        with _no_collection() if loading else contextlib.nullcontext():
            rows, self._rows = self._rows, []
            place = 0
            expects = loading and self._keyring.remote
            try:
                for row in rows:
                    if expects and place % EXPECTED_ROWS == 0:
                        self._keyring.expect([message_of(next_.data) for next_ in rows[place : place + EXPECTED_ROWS]])
                    apply(row)
                    place += 1
            finally:
                self._rows = rows[place:]


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Load without the collector: it would look again and again at records that stay, for 40 % of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
