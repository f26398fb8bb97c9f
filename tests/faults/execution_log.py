"""What a fake node saw, as a journal of events that outlives its process.

Theory. Each event is one line of JSON, written at once: a node that crashes or is stopped leaves a complete
journal. Memory is filled by the same function that reads a journal, so both always say the same. Times are those
of the system's monotonic clock, which all processes of a machine share. No body is ever recorded.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec

MAX_EXECUTIONS = 500_000  # kept in memory: about ten minutes at 1000 requests a second; then the oldest half goes


class Execution(msgspec.Struct):
    """One frame that arrived, and what became of it."""

    node: str
    boot_id: str
    connection: int
    peer: str
    kind: str
    opcode: str
    operation_id: int
    request_id: int
    principal: int
    key_id: str
    received_at: float
    fault: str = ""
    answered_at: float | None = None
    """When the whole, well-addressed answer was handed to the socket."""
    status: int | None = None
    ended_at: float | None = None
    """When its connection or its process ended, where no answer came before."""


class Told(msgspec.Struct, frozen=True):
    """What a PONG said of the node, whenever that differs from the PONG before on the same connection."""

    node: str
    at: float
    connection: int
    peer: str
    window: int
    state: str
    administrative_state: str


class Breach(msgspec.Struct, frozen=True):
    """The peer broke the protocol."""

    node: str
    at: float
    connection: int
    detail: str


class Meeting(msgspec.Struct):
    """One connection."""

    opened_at: float
    peer: str = ""
    closed_at: float | None = None


class Record:
    """All that a journal says."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.boot_id = ""
        self.starts: list[float] = []
        self.executions: list[Execution] = []
        self.told: list[Told] = []
        self.breaches: list[Breach] = []
        self.meetings: dict[int, Meeting] = {}
        self.identities: dict[int, str] = {}
        """Principal number -> identity, of the last BIND of that number."""
        self._open: dict[int, Execution] = {}

    @property
    def requests(self) -> list[Execution]:
        """Executions of requests alone, what proxies themselves ask left out."""
        return [each for each in self.executions if each.kind == "REQUEST" and each.opcode not in ("CHECK", "USAGE")]

    def apply(self, event: dict[str, Any]) -> None:
        """Take one event."""
        fields = dict(event)
        getattr(self, f"_on_{fields.pop('event')}")(fields.pop("at"), **fields)

    def _on_started(self, at: float, boot_id: str) -> None:
        self._on_ended(at)
        self.meetings = {}
        self._on_booted(at, boot_id)

    def _on_booted(self, at: float, boot_id: str) -> None:
        self.boot_id = boot_id
        self.starts.append(at)

    def _on_ended(self, at: float) -> None:
        for execution in self._open.values():
            execution.ended_at = at
        self._open = {}

    def _on_connected(self, at: float, connection: int) -> None:
        self.meetings[connection] = Meeting(at)

    def _on_greeted(self, at: float, connection: int, peer: str) -> None:
        self.meetings[connection].peer = peer

    def _on_closed(self, at: float, connection: int) -> None:
        if connection in self.meetings:
            self.meetings[connection].closed_at = at
        for sequence in [each for each, found in self._open.items() if found.connection == connection]:
            self._open.pop(sequence).ended_at = at

    def _on_bound(self, at: float, number: int, identity: str) -> None:
        self.identities[number] = identity

    def _on_received(self, at: float, sequence: int, connection: int, **fields: Any) -> None:
        if len(self.executions) >= MAX_EXECUTIONS:
            del self.executions[: MAX_EXECUTIONS // 2]
        peer = self.meetings[connection].peer
        execution = Execution(self.node, self.boot_id, connection, peer, received_at=at, **fields)
        self.executions.append(execution)
        self._open[sequence] = execution

    def _on_answered(self, at: float, sequence: int, status: int) -> None:
        execution = self._open.pop(sequence, None)
        if execution is not None:
            execution.answered_at = at
            execution.status = status

    def _on_told(self, at: float, connection: int, **fields: Any) -> None:
        self.told.append(Told(self.node, at, connection, self.meetings[connection].peer, **fields))

    def _on_breach(self, at: float, connection: int, detail: str) -> None:
        self.breaches.append(Breach(self.node, at, connection, detail))


class Journal:
    """Writes events: into memory, and to a file where one is named."""

    def __init__(self, node: str, path: Path | None = None) -> None:
        self.record = Record(node)
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, event: str, **fields: Any) -> None:
        """Record that this happened now."""
        line = {"event": event, "at": time.monotonic(), **fields}
        self.record.apply(line)
        if self._file is not None:
            os.write(self._file, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def note_end(path: Path) -> None:
    """Note, from outside, that the process of this journal was killed."""
    with path.open("ab") as journal:
        journal.write(json.dumps({"event": "ended", "at": time.monotonic()}).encode() + b"\n")


def read_journal(node: str, path: Path) -> Record:
    """Return what a journal says; a last line that is cut off (the process died in it) is left out."""
    record = Record(node)
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            record.apply(json.loads(line))
    return record
