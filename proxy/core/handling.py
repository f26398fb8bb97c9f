"""How requests of each operation are handled: what the way of a request asks about its opcode, in one look-up.

Theory. Nearly all requests are uses of keys: drawn, sent, timed and counted in one way (`ordinary`). Every other
question is asked only of those that are not.
"""

from typing import Final

from hsm_wire import limits as wire
from hsm_wire.operations import (
    ANSWERED_BY_PROXY,
    AT_DR_SITE,
    GENERATIONS,
    LONG,
    OPERATIONS,
    SIGNATURES,
    Operation,
    Work,
)

UNKNOWN_OPERATION: Final = 0
"""Requests with an opcode that this version does not know are counted together: a label may not grow for ever."""


class Handling:
    """What is done with requests of one operation."""

    __slots__ = (
        "administers",
        "apart",
        "at_dr_site",
        "change",
        "counted",
        "generates",
        "long",
        "metered",
        "number",
        "opcode",
        "ordinary",
        "own",
        "timeout_s",
    )

    def __init__(self, number: int, opcode: int, row: Operation | None) -> None:
        work = Work.USE if row is None else row.work
        timeout_ms = wire.DEFAULT_TIMEOUT_MS if row is None else row.default_timeout_ms
        self.number = number
        """Counted from 0, those of unknown operations last."""
        self.opcode = opcode
        """As counters name it."""
        self.timeout_s = timeout_ms / 1000
        """For a request that names none."""
        self.own = opcode in ANSWERED_BY_PROXY
        """The proxy answers it."""
        self.administers = work is Work.ADMINISTER
        """It may go to a node that is not in rotation."""
        self.at_dr_site = opcode in AT_DR_SITE
        """A node of the DR site answers it, whatever its state."""
        self.long = opcode in LONG
        """It has no attempt time, and takes no room in a node's window."""
        self.change = work is Work.CHANGE or work is Work.ADMINISTER
        """It waits for the store: how long says nothing of the device."""
        self.generates = opcode in GENERATIONS
        """It counts for the quota of key generations."""
        self.metered = self.generates or opcode in SIGNATURES
        """It counts for a quota."""
        self.counted = self.long or self.generates
        """It is counted how many of it there are."""
        self.apart = self.own or self.long or self.at_dr_site
        """It is not simply sent: the proxy answers it, counts how many of it there are, or wants a certain node."""
        self.ordinary = not (self.own or self.administers or self.change or self.counted)
        """It is a use of a key, or nobody knows what."""


HANDLING: Final = {opcode: Handling(number, opcode, OPERATIONS[opcode]) for number, opcode in enumerate(OPERATIONS)}
UNKNOWN: Final = Handling(len(HANDLING), UNKNOWN_OPERATION, None)
"""Of all other opcodes."""
