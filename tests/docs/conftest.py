"""What the tests of the documentation share."""

import sys
from pathlib import Path

import pytest

# The harnesses are plain modules. Appended, not inserted: other folders' modules keep their names.
_HERE = Path(__file__).parent
sys.path += [str(_HERE), str(_HERE.parent / "integration")]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return _HERE.parents[1]
