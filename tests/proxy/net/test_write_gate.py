"""The gate: one write a turn, no exception into another's callback, a bound on what is unread."""

import asyncio

from fake_transport import FakeTransport

from proxy.net.write_gate import FlushTurn, WriteGate


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


async def test_a_write_that_raises_costs_its_own_connection_only(caplog):
    class Broken(FakeTransport):
        def write(self, data):
            raise RuntimeError("unexpected")

    turn = FlushTurn(asyncio.get_running_loop())
    transports = [FakeTransport(), Broken(), FakeTransport()]
    for transport in transports:
        WriteGate(transport, turn, 100, lambda: None).write(b"a")
    await asyncio.sleep(0)
    assert [transport.written for transport in transports] == [[b"a"], [], [b"a"]]
    assert [transport.aborted for transport in transports] == [False, True, False]
    assert "dropped" in caplog.text
