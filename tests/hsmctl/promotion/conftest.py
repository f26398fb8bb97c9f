"""Plain modules beside the tests are found; pytest's import mode leaves the path alone."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
