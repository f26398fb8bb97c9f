"""Tasks are kept and heard."""

import asyncio

import pytest

from hsm_daemon.tasks import spawn


async def test_a_failure_is_logged_with_the_name(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("no")

    task = spawn(fail(), "a name")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert task.get_name() == "a name"
    assert "task failed" in caplog.text
