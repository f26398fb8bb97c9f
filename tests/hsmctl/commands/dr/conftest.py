"""The answers are a plain module; pytest's import mode leaves the path alone."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
