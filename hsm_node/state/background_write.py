"""One write at a time to a file, in a thread of its own: its owner begins it on the event loop, and looks later."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class BackgroundWrite:
    """Used on the loop."""

    def __init__(self, thread: str) -> None:
        """Write nothing yet; `thread`: name of the thread."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=thread)
        self._writing: Future[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether there is one whose end was not taken up."""
        return self._writing is not None

    @property
    def busy(self) -> bool:
        """Whether there is one that goes on."""
        return self._writing is not None and not self._writing.done()

    def begin(self, write: Callable[..., None], *arguments: Any) -> None:
        """Write; the one before has ended."""
        self._writing = self._executor.submit(write, *arguments)

    def end(self) -> None:
        """Wait for its end and raise what it raised."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """End the thread."""
        self._executor.shutdown()
