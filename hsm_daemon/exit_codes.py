"""What a daemon's process ends with."""

from typing import Final

OK: Final = 0  # stopped as asked
FAILED: Final = 1  # gave up while running, or was forced to stop before it had finished
CONFIGURATION: Final = 2  # did not start: usage, configuration, files, addresses
