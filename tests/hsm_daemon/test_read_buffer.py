"""The buffer that connections are read into."""

import asyncio

import uvloop

from hsm_daemon.read_buffer import READ_BYTES, read_buffer


def test_each_loop_has_one_and_nobody_is_kept_alive_by_it() -> None:
    first, second = asyncio.SelectorEventLoop(), uvloop.new_event_loop()
    try:
        assert read_buffer(first) is read_buffer(first)
        assert read_buffer(first) is not read_buffer(second)
        assert len(read_buffer(second)) == READ_BYTES
        assert not read_buffer(second).readonly
    finally:
        first.close()
        second.close()
