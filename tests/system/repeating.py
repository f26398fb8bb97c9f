"""Something that is done again and again while a test goes on."""

import threading
from collections.abc import Callable


class Repeating:
    """Calls in a thread of its own, until it is told to stop."""

    def __init__(self, call: Callable[[], object], pause_s: float = 0.0) -> None:
        """Begin; `pause_s`: between two calls."""
        self._call = call
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Wait for the end of the last call."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            self._call()
