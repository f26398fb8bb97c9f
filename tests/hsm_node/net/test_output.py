"""Writes leave together, never after the end, and never into a transport that is closing."""

import asyncio
from unittest.mock import Mock

import pytest

from hsm_node.net.output import Output


class Transport:
    """Keeps what is written."""

    def __init__(self, *, half_closes: bool = True) -> None:
        self.written: list[bytes] = []
        self.closing = self.eof = self.aborted = False
        self.half_closes = half_closes

    def write(self, data: bytes) -> None:
        assert not self.closing, "written to a transport that is closing"
        assert not self.eof, "written after the end"
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return self.half_closes

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = self.closing = True


def output_of(transport: Transport) -> Output:
    return Output(transport, asyncio.get_running_loop())  # type: ignore[arg-type]  # as much of one as it needs


async def test_all_writes_of_a_turn_are_one() -> None:
    transport = Transport()
    output = output_of(transport)
    output.send(b"a")
    output.send(b"b")
    assert transport.written == []
    await asyncio.sleep(0)
    assert transport.written == [b"ab"]


async def test_nothing_follows_the_end() -> None:
    transport = Transport()
    output = output_of(transport)
    output.send(b"last", now=True)
    output.finish()
    output.finish()
    output.send(b"late")
    output.flush()
    assert (transport.written, transport.eof) == ([b"last"], True)
    output.lost()


@pytest.mark.parametrize("closing", [True, False])
async def test_a_transport_that_cannot_half_close_is_closed_once(closing: bool) -> None:
    transport = Transport(half_closes=False)
    transport.closing = closing
    output_of(transport).finish()
    assert transport.closing
    assert not transport.eof


async def test_a_peer_that_has_gone_in_this_turn_is_no_error() -> None:
    transport = Transport()
    transport.write_eof = Mock(side_effect=OSError)  # type: ignore[method-assign]  # as after a reset
    output_of(transport).finish()
    assert transport.aborted
