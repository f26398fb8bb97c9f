"""The table of faults: action -> what it does to one frame, and its options with their defaults.

An action gets the connection, the exchange (the frame that met it; None for `partial`) and the options. Those that
spoil bytes spoil whatever the right answer is: a WELCOME and a PONG as well as a RESPONSE.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from node_answers import Answer, failure

from hsm_wire import kinds
from hsm_wire.statuses import Status

if TYPE_CHECKING:
    from node_connection import Exchange, NodeConnection

GAP_S = 0.02  # between half an answer and the end: the peer has read the half by then
_ID_BIT = 0x4000_0000  # no sender counts that far in a test
_Options = dict[str, Any]
_Run = Callable[["NodeConnection", Any, _Options], None]


class Action(msgspec.Struct, frozen=True):
    """One row."""

    run: _Run
    defaults: _Options


def _pass(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.serve(exchange)


def _drop(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    """Take the frame, and nothing comes of it."""


def _silence(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.mute = True


def _stop_reading(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.stop_reading()


def _rst(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.reset()


def _fin(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.finish()


def _half_then_rst(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    data = connection.reply(exchange.frame)
    connection.mute = True
    connection.write(data[: len(data) // 2])
    connection.later(GAP_S, connection.reset)


def _truncated(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    data = connection.reply(exchange.frame)
    connection.write(data[: options["bytes"] or len(data) // 2])
    connection.finish()


def _slow_bytes(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.drip(connection.reply(exchange.frame), options["ms"] / 1000)


def _latency(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    jitter = connection.node.random.uniform(-1, 1) * options["jitter_ms"]
    connection.serve(exchange, max(0.0, options["ms"] + jitter) / 1000)


def _slower(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.serve(exchange, factor=options["factor"])


def _status(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    status = Status[options["status"]]
    flags = int(kinds.Flag.NOT_EXECUTED) if options["not_executed"] else 0
    answer = failure(status, f"fault: {status.name}", options["retry_after_ms"])
    connection.respond(exchange, connection.reply(exchange.frame, answer=answer, flags=flags))
    if exchange.frame.kind == kinds.HELLO:  # A refused HELLO is the end.
        connection.finish()


def _stale(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.respond(exchange, connection.reply(exchange.frame, flags=int(kinds.Flag.STALE)))


def _unknown_id(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    data = connection.reply(exchange.frame)
    connection.write(data[:8] + (exchange.frame.request_id ^ _ID_BIT).to_bytes(4) + data[12:])


def _wrong_operation_id(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    data = connection.reply(exchange.frame)
    connection.write(data[:24] + (exchange.frame.operation_id ^ _ID_BIT).to_bytes(8) + data[32:])


def _wrong_opcode(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    data = connection.reply(exchange.frame)
    connection.write(data[:20] + (exchange.frame.opcode ^ 1).to_bytes(2) + data[22:])


def _duplicate(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    data = connection.reply(exchange.frame)
    connection.respond(exchange, data)
    connection.write(data)


def _swap(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.swapping = (exchange, connection.reply(exchange.frame))


def _oversized(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    data = connection.reply(exchange.frame)
    length = options["length"] or connection.node.settings.max_frame_bytes + 1
    connection.write(length.to_bytes(4) + data[4:])


def _undersized(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.write((27).to_bytes(4) + connection.reply(exchange.frame)[4:])


def _wrong_version(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    data = connection.reply(exchange.frame)
    connection.write(data[:4] + bytes([options["version"]]) + data[5:])


def _wrong_kind(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    data = connection.reply(exchange.frame)
    connection.write(data[:5] + bytes([options["kind"]]) + data[6:])


def _wrong_flags(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    data = connection.reply(exchange.frame)
    connection.write(data[:6] + (0x8000).to_bytes(2) + data[8:])


def _garbage(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.write(connection.node.random.randbytes(options["bytes"]))


def _bad_body(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.respond(exchange, connection.reply(exchange.frame, answer=Answer(int(Status.OK), b"\xc1")))


def _wrong_signature(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    answer = connection.node.answers.answer(exchange.frame, wrong_signature=True)
    connection.respond(exchange, connection.reply(exchange.frame, answer=answer))


def _go_away(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.go_away()
    if options["answer"]:
        connection.serve(exchange)
    else:
        connection.later(options["ms"] / 1000, connection.finish)


def _pong(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    fields = dict(options["fields"])
    for name in ("cluster_id", "boot_id"):
        if name in fields:
            fields[name] = bytes.fromhex(fields[name])
    connection.respond(exchange, connection.reply(exchange.frame, **fields))


def _restart(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.node.restart(options["down_ms"])


def _crash(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    connection.node.crash()


def _stop(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    connection.serve(exchange)


def _stall(connection: "NodeConnection", exchange: "Exchange", options: _Options) -> None:
    time.sleep(options["ms"] / 1000)  # On purpose: the whole loop stands still.
    connection.serve(exchange)


def _failing(status: Status, *, not_executed: bool) -> Action:
    return Action(_status, {"status": status.name, "not_executed": not_executed, "retry_after_ms": 0})


ACTIONS: dict[str, Action] = {
    "pass": Action(_pass, {}),
    "drop": Action(_drop, {}),
    "silence": Action(_silence, {}),
    "stop_reading": Action(_stop_reading, {}),
    "rst": Action(_rst, {}),
    "fin": Action(_fin, {}),
    "half_then_rst": Action(_half_then_rst, {}),
    "truncated": Action(_truncated, {"bytes": 0}),
    "slow_bytes": Action(_slow_bytes, {"ms": 5.0}),
    "latency": Action(_latency, {"ms": 50.0, "jitter_ms": 0.0}),
    "slower": Action(_slower, {"factor": 10.0}),
    "status": _failing(Status.DEVICE_ERROR, not_executed=False),
    "device_error": _failing(Status.DEVICE_ERROR, not_executed=False),
    "overloaded": _failing(Status.OVERLOADED, not_executed=True),
    "not_current": _failing(Status.NOT_CURRENT, not_executed=True),
    "going_away": _failing(Status.GOING_AWAY, not_executed=True),
    "key_missing": _failing(Status.KEY_NOT_FOUND, not_executed=False),
    "stale": Action(_stale, {}),
    "unknown_id": Action(_unknown_id, {}),
    "wrong_operation_id": Action(_wrong_operation_id, {}),
    "wrong_opcode": Action(_wrong_opcode, {}),
    "duplicate": Action(_duplicate, {}),
    "swap": Action(_swap, {}),
    "oversized": Action(_oversized, {"length": 0}),
    "undersized": Action(_undersized, {}),
    "wrong_version": Action(_wrong_version, {"version": 2}),
    "wrong_kind": Action(_wrong_kind, {"kind": 99}),
    "wrong_flags": Action(_wrong_flags, {}),
    "garbage": Action(_garbage, {"bytes": 64}),
    "bad_body": Action(_bad_body, {}),
    "wrong_signature": Action(_wrong_signature, {}),
    "goaway": Action(_go_away, {"answer": False, "ms": 20.0}),
    "pong": Action(_pong, {"fields": {}}),
    "restart": Action(_restart, {"down_ms": 0.0}),
    "stall": Action(_stall, {"ms": 600.0}),
    "crash": Action(_crash, {}),
    "stop": Action(_stop, {}),
}
NEEDS_A_PROCESS = frozenset({"crash", "stop"})
FOR_CONNECT = frozenset({"pass", "drop", "silence", "stop_reading", "rst", "fin", "latency"})
FOR_PARTIAL = frozenset({"drop", "silence", "stop_reading", "rst", "fin", "restart", "crash"})
"""What needs no whole frame."""
