"""`drill.json` in the state directory: what is remembered of drills of the DR site.

It is no secret and proves nothing: who can write it can write the node's other files. One that is damaged counts as
none, and the next drill writes another one.
"""

from pathlib import Path
from typing import Final

import msgspec

from hsm_daemon import logs
from hsm_daemon.replaced_file import replace_file
from hsm_node.core.drills import DrillRecord

FILE_NAME: Final = "drill.json"
MAX_FILE_BYTES: Final = 65_536
"""More than it ever has."""

_log = logs.logger("hsm_node.state")


class DrillFile:
    """Implements `Journal`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def read(self) -> DrillRecord:
        """Return what is kept; nothing where nothing is, or nothing that can be read."""
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(MAX_FILE_BYTES), type=DrillRecord)
        except FileNotFoundError:
            return DrillRecord()
        except (OSError, msgspec.DecodeError) as error:
            what = "nothing is known of earlier drills; the next one writes it anew"
            logs.event(
                _log, "warning", "the last drill's result cannot be read", file=str(self._path), reason=str(error),
                what=what,
            )  # fmt: skip
            return DrillRecord()

    def write(self, record: DrillRecord) -> None:
        """Keep it."""
        replace_file(self._path, msgspec.json.encode(record) + b"\n")
