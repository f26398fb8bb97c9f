"""Writes the ledger to its file, beside the event loop and not for each row.

Theory. A write waits for the disk, and a node may follow thousands of rows a second. So what was seen is collected and
written in a thread, at most every FLUSH_INTERVAL_S and at the end. Whoever kills the node and exchanges the store
within that time is not found by this node alone: it forgot the last half second. The others have seen it.
"""

from pathlib import Path
from typing import Final

from hsm_daemon import logs
from hsm_node.core.ledger import Ledger
from hsm_node.state.background_write import BackgroundWrite
from hsm_node.state.seen_file import FILE_NAME, DisplacedError, SeenFile, SeenFileError

FLUSH_INTERVAL_S: Final = 0.5
"""Two synchronous writes a second are what any disk does beside its work."""
RETRY_INTERVAL_S: Final = 5.0
"""After a failure everything is written anew, which costs more."""

_log = logs.logger("hsm_node.state")


class Recorder:
    """Owns the file's thread. `sweep` on the loop."""

    def __init__(self, file: SeenFile, ledger: Ledger) -> None:
        self.ledger = ledger
        self.failures = 0
        """Times that it could not be written."""
        self._file = file
        self._write = BackgroundWrite("seen")
        self._next_s = 0.0
        self._failing = False
        self._displaced = False

    def sweep(self, now_s: float) -> None:
        """Begin to write if it is time; look at how the last one ended."""
        if self._write.busy:
            return
        self._end(now_s)
        if now_s >= self._next_s and self._begin():
            self._next_s = now_s + FLUSH_INTERVAL_S

    def close(self) -> None:
        """Write the rest; waits for the disk."""
        self._end(0.0)
        for _ in range(2):  # What could not be written in part is written whole.
            self._begin()
            self._end(0.0)
        self._write.close()
        self._file.close()

    def _begin(self) -> bool:
        if self._displaced or not self.ledger.changed:
            return False
        self._write.begin(self._file.write, self.ledger.snapshot())
        return True

    def _end(self, now_s: float) -> None:
        """Wait for the thread, and take up what it says."""
        if not self._write.begun:
            return
        try:
            self._write.end()
        except DisplacedError as error:
            self._displaced = True
            logs.event(_log, "warning", "what was seen of the store is kept by another process", reason=str(error))
        except SeenFileError as error:
            self.failures += 1
            self.ledger.write_all()
            self._next_s = now_s + RETRY_INTERVAL_S
            if not self._failing:
                logs.event(_log, "error", "what was seen of the store cannot be written", reason=str(error))
            self._failing = True
        else:
            if self._failing:
                logs.event(_log, "warning", "what was seen of the store is written again")
            self._failing = False


def open_recorder(folder: Path, ledger: Ledger, *, first_start: bool) -> Recorder:
    """Return the recorder of a state directory; the ledger has what is kept there.

    Raises:
        StartError: what is kept there is not what this node has written.
    """
    file = SeenFile(folder)
    if not file.load(ledger) and not first_start:
        what = "what is older or missing in the store now is not noticed"
        logs.event(
            _log, "warning", "what this node had seen of the store is gone", file=str(folder / FILE_NAME), what=what
        )
    return Recorder(file, ledger)
