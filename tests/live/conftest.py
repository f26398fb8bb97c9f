"""Stands: a real proxy before fake nodes and relays, and open-loop load that keeps a history."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The harnesses are plain modules. Appended, not inserted: other folders' modules keep their names.
_TESTS = Path(__file__).parent.parent
sys.path += [str(Path(__file__).parent), str(_TESTS / "faults"), str(_TESTS / "integration")]

from stand import Stand  # noqa: E402 - found through the line above


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_name(request: pytest.FixtureRequest) -> str:
    """The kind of event loop that the proxy runs on."""
    return str(request.param)


@pytest.fixture
def make_stand(tmp_path: Path, event_loop_name: str) -> Iterator[Callable[..., Stand]]:
    """Make a stand that ends with the test."""
    made: list[Stand] = []

    def make(**options: object) -> Stand:
        stand = Stand(tmp_path, event_loop_name, **options)  # type: ignore[arg-type]  # passed on as they are
        made.append(stand)
        return stand.start()

    yield make
    for stand in made:
        stand.stop()
