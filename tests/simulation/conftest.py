"""The simulation is plain modules beside the tests."""

import sys
from pathlib import Path

# Appended, not inserted: other folders' modules keep their names.
sys.path.append(str(Path(__file__).parent))
