"""All rows in etcd as of one revision: pages of a range at it, whatever is written meanwhile.

etcd keeps what was until it is compacted, an hour at least where it is set up as advised. Rows are never deleted, so
the first page's revision is that of all.
"""

from typing import Final

from hsm_node.store.base import Row, StoreError
from hsm_node.store.etcd.calls import Calls, CompactedError
from hsm_node.store.etcd.transactions import page, row_of

PAGE_ROWS: Final = 200
"""Of a page: at most 13 MB, should all be objects of full size."""
PAGE_S: Final = 5.0
"""For one page over all members."""


class EtcdSnapshot:
    """Implements `Snapshot`."""

    def __init__(self, calls: Calls) -> None:
        """Take the revision, with the first page.

        Raises:
            StoreError: no member answered.
        """
        self._calls = calls
        self.revision = 0
        self._after = b""
        self._more = True
        self._first = self._page()

    def read(self) -> list[Row]:
        rows, self._first = self._first, []
        if rows or not self._more:
            return rows
        return self._page()

    def close(self) -> None:
        """Nothing is held for it."""

    def _page(self) -> list[Row]:
        try:
            found = self._calls.range(page(self._after, self.revision, PAGE_ROWS), PAGE_S)
        except CompactedError as error:
            raise StoreError(f"{error}; begin anew") from None
        self.revision = self.revision or found.header.revision
        self._more = found.more
        if found.kvs:
            self._after = found.kvs[-1].key
        return [row_of(pair) for pair in found.kvs]
