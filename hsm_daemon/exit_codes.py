"""Exit codes of the programs."""

from typing import Final

OK: Final = 0
FAILED: Final = 1
CONFIGURATION: Final = 2
UNREACHABLE: Final = 3
