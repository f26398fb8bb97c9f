"""Where the tests of deploy/ find what others have."""

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent / "integration")]
