"""Event loops of both kinds, certificates, and a proxy with fake nodes on loopback."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside this file

import asyncio

import pytest
import uvloop
from proxy_stage import Stage

ON_BOTH = ("test_app.py", "test_channel.py", "test_reconfiguration.py", "test_worker.py")


def pytest_asyncio_loop_factories(config, item):
    """Net tests run on both event loops."""
    del config
    if "net" in item.path.parts or item.path.name in ON_BOTH:
        return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.SelectorEventLoop}


@pytest.fixture
async def stage(tmp_path):
    """Fake nodes, a proxy in this process, clients that speak frames."""
    made = Stage(tmp_path)
    yield made
    await made.close()
