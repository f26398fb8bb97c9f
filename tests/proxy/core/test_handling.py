"""What is asked about an opcode, held against the table of operations."""

import pytest

from hsm_wire.opcodes import Opcode
from hsm_wire.operations import ANSWERED_BY_PROXY, GENERATIONS, LONG, OPERATIONS, SIGNATURES, Work
from proxy.core.handling import HANDLING, UNKNOWN

USES = (Opcode.SIGN, Opcode.VERIFY, Opcode.ENCRYPT, Opcode.DECRYPT, Opcode.RANDOM, Opcode.WRAP_KEY, Opcode.DESCRIBE_KEY)


def test_every_operation_has_its_own_number():
    assert [each.number for each in (*HANDLING.values(), UNKNOWN)] == list(range(len(OPERATIONS) + 1))


@pytest.mark.parametrize("opcode", OPERATIONS, ids=lambda opcode: Opcode(opcode).name)
def test_an_operation_is_handled_as_the_table_says(opcode):
    row, handling = OPERATIONS[opcode], HANDLING[opcode]
    assert (handling.opcode, handling.timeout_s) == (opcode, row.default_timeout_ms / 1000)
    assert handling.own == (opcode in ANSWERED_BY_PROXY)
    assert handling.long == (opcode in LONG)
    assert handling.administers == (row.work is Work.ADMINISTER)
    assert handling.change == (row.work in (Work.CHANGE, Work.ADMINISTER))
    assert handling.generates == (opcode in GENERATIONS)
    assert handling.metered == (opcode in GENERATIONS | SIGNATURES)
    assert handling.counted == (opcode in LONG | GENERATIONS)
    assert handling.ordinary == (not (handling.own or handling.change or handling.counted))


def test_uses_of_keys_are_ordinary_and_so_is_what_nobody_knows():
    assert all(HANDLING[opcode].ordinary for opcode in USES)
    assert UNKNOWN.ordinary
    assert (UNKNOWN.opcode, UNKNOWN.timeout_s, UNKNOWN.metered) == (0, 10.0, False)
