"""What the client's tests share: both kinds of event loop, and a fake cluster."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

# The harness is plain modules beside the tests; pytest's import mode leaves the path alone.
sys.path.insert(0, str(Path(__file__).parent))

from fake_cluster import FakeCluster, FakeProxy

from hsm_client.config import ClientConfig, parse_address


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    """A fake proxy on the test's own loop."""
    started = await FakeProxy().start()
    yield started
    await started.stop()


@pytest.fixture
def fake_cluster() -> Iterator[FakeCluster]:
    """A fake proxy in a thread."""
    with FakeCluster() as started:
        yield started


@pytest.fixture
def configured() -> Callable[..., ClientConfig]:
    """Make a configuration without TLS for these proxies."""
    return lambda *proxies: ClientConfig(tuple(parse_address(each.address) for each in proxies), None)
