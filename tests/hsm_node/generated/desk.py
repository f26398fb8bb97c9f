"""Asks a node in this process, over a real connection, in the way of a proxy: BIND, then bodies as bytes."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from hsm_wire import kinds
from hsm_wire.messages import EMPTY_BODY, Bind, Failure, InfoResult, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

NODE_LIMITS: Final = (
    "stall_s = 60\npadding_decryptions_per_s = 100_000\npadding_decryptions_burst = 10_000\n"
    "partition_changes_per_s = 100_000"
)
"""The loop runs only while something is asked: that is no stall. Rates have tests of their own."""
AT_ONCE: Final = 40
"""Requests in flight: fewer than the connection has agreed to."""
USER: Final = 7
"""Whom the connection has bound from the start: roles use and manage in partition 1."""


SEND_AGAIN: Final = frozenset({Status.STORE_UNAVAILABLE, Status.TIMEOUT})
MOST_TRIES: Final = 50
PAUSE_S: Final = 0.1


class Asked(NamedTuple):
    """One request."""

    opcode: int
    body: bytes
    principal: int = USER
    operation_id: int | None = None
    """None: a new one."""

    def named(self) -> "Asked":
        """Return it with its operation id, which it keeps when it is sent again."""
        return self._replace(operation_id=int.from_bytes(os.urandom(8))) if self.operation_id is None else self


class Answer(NamedTuple):
    """What it was answered."""

    status: int
    body: bytes

    @property
    def word(self) -> str:
        """The status by name, with the text of a refusal."""
        try:
            name = Status(self.status).name
        except ValueError:
            name = f"{self.status:#06x}"
        return f"{name} ({decode_body(Failure, self.body).detail})" if self.status >> 8 else name


class Desk:
    """One connection to one node."""

    def __init__(self, runner: asyncio.Runner, node: Any) -> None:
        self._run = runner.run
        self.node = node
        self._client = runner.run(node.client())
        self._last_id = 0
        self._last_principal = USER

    @property
    def internal_errors(self) -> int:
        """What the metric hsm_node_internal_errors_total says."""
        return int(self.node.keystore.failures.internal)

    @property
    def offered(self) -> dict[int, int]:
        """Mechanism -> the usages that the node says it has."""
        info = decode_body(InfoResult, self.ask(Opcode.INFO, EMPTY_BODY).body)
        return {row.number: row.usages for row in info.mechanisms}

    def ask(self, opcode: int, body: bytes, principal: int = USER, operation_id: int | None = None) -> Answer:
        """Return the answer to one request."""
        return self.ask_all([Asked(opcode, body, principal, operation_id)])[0]

    def ask_all(self, asked: Sequence[Asked]) -> list[Answer]:
        """Return the answers, in the order of the requests; they are served in that order, some at the same time."""
        answers: list[Answer] = []
        for start in range(0, len(asked), AT_ONCE):
            answers += self._run(self._ask_until_done([one.named() for one in asked[start : start + AT_ONCE]]))
        return answers

    def bind(
        self, roles: Sequence[str], partition: int = 1, *, identity: str = "client/somebody", not_after: int = 0
    ) -> int:
        """Bind an identity and return its number; what the node says of the BIND is not waited for."""
        self._last_principal += 1
        number = self._last_principal
        name = f"spiffe://dev/{identity}"
        self._client.send(kinds.BIND, encode_body(Bind(number, name, partition, list(roles), b"", not_after)))
        return number

    async def _ask_until_done(self, asked: Sequence[Asked]) -> list[Answer]:
        """Ask, and send again what the store of a busy machine had no time for, as every client does."""
        answers = await self._ask_some(asked)
        for _ in range(MOST_TRIES):
            again = [place for place, answer in enumerate(answers) if answer.status in SEND_AGAIN]
            if not again:
                break
            await asyncio.sleep(PAUSE_S)
            for place, answer in zip(again, await self._ask_some([asked[place] for place in again]), strict=True):
                answers[place] = answer
        return answers

    async def _ask_some(self, asked: Sequence[Asked]) -> list[Answer]:
        first = self._last_id + 1
        self._last_id += len(asked)
        for number, (opcode, body, principal, operation) in enumerate(asked, first):
            assert operation is not None
            self._client.send(
                kinds.REQUEST, body, opcode=opcode, principal=principal, operation_id=operation, request_id=number
            )
        answers: dict[int, Answer] = {}
        while len(answers) < len(asked):
            try:
                frame = await self._client.frame()
            except (EOFError, OSError, TimeoutError) as error:
                lost = next(number for number in range(first, first + len(asked)) if number not in answers)
                raise AssertionError(f"no answer to {asked[lost - first]!r:.500}: {error!r}") from None
            if frame.request_id:  # else it is about a BIND
                answers[frame.request_id] = Answer(frame.status, frame.body)
        return [answers[number] for number in range(first, first + len(asked))]
