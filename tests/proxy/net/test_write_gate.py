"""The gate: one write a turn, no exception into another's callback, a bound on what is unread."""

import asyncio

from proxy.net.write_gate import FlushTurn, WriteGate


class FakeTransport:
    def __init__(self, *, eof=True):
        self.written = []
        self.closed = False
        self.aborted = False
        self.eof = False
        self.waiting = 0
        self._can_eof = eof

    def is_closing(self):
        return self.closed

    def write(self, data):
        assert not self.closed, "a write to a closing transport"
        self.written.append(data)

    def get_write_buffer_size(self):
        return self.waiting

    def can_write_eof(self):
        return self._can_eof

    def write_eof(self):
        self.eof = True

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = self.aborted = True


def gate(transport, limit=100, overflow=lambda: None):
    return WriteGate(transport, FlushTurn(asyncio.get_running_loop()), limit, overflow)


async def test_writes_of_one_turn_are_one_write():
    transport = FakeTransport()
    out = gate(transport)
    out.write(b"a")
    out.write(b"b")
    assert transport.written == []
    await asyncio.sleep(0)
    assert transport.written == [b"ab"]
    out.write(b"c")
    await asyncio.sleep(0)
    assert transport.written == [b"ab", b"c"]


async def test_a_closing_transport_gets_nothing():
    transport = FakeTransport()
    out = gate(transport)
    out.write(b"a")
    transport.closed = True
    await asyncio.sleep(0)
    assert transport.written == []
    out.finish()
    out.close()


async def test_unread_bytes_above_the_limit_are_told():
    transport = FakeTransport()
    told = []
    out = gate(transport, overflow=lambda: told.append(True))
    transport.waiting = 101
    out.write(b"a")
    assert told == []
    await asyncio.sleep(0)
    assert told == [True]


async def test_the_last_bytes_go_out_before_the_end():
    for end, eof in (("close", True), ("finish", True), ("finish", False)):
        transport = FakeTransport(eof=eof)
        out = gate(transport)
        out.write(b"last")
        getattr(out, end)()
        assert transport.written == [b"last"]
        assert (transport.eof, transport.closed) == ((True, False) if end == "finish" and eof else (False, True))


async def test_abort_drops_what_was_collected():
    transport = FakeTransport()
    out = gate(transport)
    out.write(b"a")
    out.abort()
    await asyncio.sleep(0)
    assert (transport.written, transport.aborted) == ([], True)


async def test_a_peer_gone_in_this_very_turn_is_no_exception():
    class Gone(FakeTransport):
        def write_eof(self):
            raise OSError(107, "not connected")

    transport = Gone()
    gate(transport).finish()
    assert transport.aborted
