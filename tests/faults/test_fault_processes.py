"""Fault programs end with whoever started them; the node also lives inside a test, on both kinds of loop."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import uvloop
from fault_processes import NodeProcess
from fault_queue import FaultError, fault
from faulty_node import FaultyNode

FOLDER = Path(__file__).parent
_STARTER = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
from fault_processes import NodeProcess
node = NodeProcess(pathlib.Path(sys.argv[2])).start()
if sys.argv[3] == "stopped":
    node.stop()
print(node.pid, flush=True)
sys.stdin.read()
"""


def alive(pid: int) -> bool:
    """Say whether that process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_a_program_ends_when_its_parent_is_killed(tmp_path: Path, state: str) -> None:
    command = [sys.executable, "-c", _STARTER, str(FOLDER), str(tmp_path), state]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    deadline = time.monotonic() + 3
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_closed_process_leaves_nothing(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        pid = node.pid
        node.stop()
    assert not alive(pid)


def test_a_program_that_cannot_start_says_why(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path, tls=tmp_path / "nowhere")
    try:
        with pytest.raises(AssertionError, match="No such file"):
            node.start()
    finally:
        node.close()


def test_quit_ends_the_program_in_order(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        node.call("quit")
        assert node.wait() == 0


@pytest.mark.parametrize("loop_factory", [asyncio.SelectorEventLoop, uvloop.new_event_loop])
def test_a_node_inside_a_test(loop_factory: type[asyncio.SelectorEventLoop]) -> None:
    async def main() -> None:
        node = await FaultyNode(seed=1).start()
        node.arm(fault("garbage", "any", bytes=7), fault("rst", "connect", skip=1))
        with pytest.raises(FaultError, match="crash would end the test itself"):
            node.arm(fault("crash"))
        with pytest.raises(FaultError, match="duplicate needs a whole frame: it cannot strike at 'connect'"):
            node.arm(fault("duplicate", "connect"))
        host, port = node.listener.host, node.listener.port
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(bytes.fromhex("0000003b01010000000000000000000000000000000000000000000000000000"))
        writer.write(bytes.fromhex("960101ce00100000cd0100b26578616d706c652d636c69656e742f312e30a0"))
        async with asyncio.timeout(3):
            assert len(await reader.readexactly(7)) == 7
            other, other_writer = await asyncio.open_connection(host, port)
            with pytest.raises(ConnectionResetError):
                await other.read(1)
        for each in (writer, other_writer):
            each.close()
        assert [each.kind for each in node.journal.record.executions] == ["HELLO"]
        await node.stop()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
