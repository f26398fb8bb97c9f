"""Any MessagePack as a body or as parameters: a documented status, no error inside, and the connection goes on."""

import os
from collections.abc import Callable
from typing import Any, Final

import msgpack
import pytest
from desk import Asked, Desk
from expected_statuses import Expected
from good_requests import Good, GoodRequests, uses
from hostile_requests import MAX_BODY_BYTES
from hypothesis import given, settings
from hypothesis import strategies as st
from operation_bodies import smallest_value
from wire_values import filled, fits, form_of, hostile_values, packed

from hsm_wire.messages import EMPTY_BODY
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS, Role
from hsm_wire.statuses import Status

DOCUMENTED: Final = frozenset(
    {
        Status.OK,
        Status.BAD_REQUEST,
        Status.TOO_LARGE,
        Status.UNKNOWN_OPERATION,
        Status.UNKNOWN_MECHANISM,
        Status.MECHANISM_NOT_HERE,
        Status.DENIED,
        Status.KEY_NOT_FOUND,
        Status.KEY_EXISTS,
        Status.KEY_TYPE,
        Status.KEY_USAGE,
        Status.KEY_DISABLED,
        Status.KEY_CHANGED,
        Status.BAD_DATA,
        Status.BAD_SIGNATURE,
    }
)
"""What a request by itself can be answered on a node that is well."""

NUMBERS: Final = st.integers(-(1 << 63), (1 << 64) - 1) | st.sampled_from([0, 1, 2, 3, 4, 32, 128, 0x250, 0x260, 0x270])
LEAVES: Final = (
    st.none() | st.booleans() | NUMBERS | st.floats() | st.text(max_size=40) | st.binary(max_size=300)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=8))
)  # fmt: skip
VALUES: Final = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(NUMBERS | st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
NEAR: Final = st.lists(st.booleans() | NUMBERS | st.binary(max_size=20), max_size=5)
"""What now and then is the parameters of some mechanism."""


@pytest.fixture(scope="module")
def goods(desk: Desk) -> tuple[list[Good], Expected]:
    """The good request of every use, and who knows what is expected of others."""
    requests = GoodRequests(desk.ask, desk.offered)
    made = [requests.make(*use[:3], caller_iv=use[3]) for use in uses()]
    return made, Expected(requests.keys.made, requests.offered)


@pytest.fixture(scope="module")
def everybody(desk: Desk) -> int:
    """Somebody with every role that can be granted."""
    return desk.bind([role for role in Role if role is not Role.CHECK])


def ask(desk: Desk, opcode: int, body: bytes, principal: int) -> int:
    """Return the status, when nothing failed inside and the next request is answered."""
    answer, then = desk.ask_all([Asked(opcode, body, principal), Asked(Opcode.INFO, EMPTY_BODY)])
    assert desk.internal_errors == 0
    assert then.status == Status.OK
    return answer.status


@settings(max_examples=300)
@given(opcode=st.sampled_from([*OPERATIONS, 0, 0xFFFF]), body=st.binary(max_size=200) | VALUES.map(packed))
def test_any_body_of_any_operation_has_a_documented_answer(
    desk: Desk, everybody: int, opcode: int, body: bytes
) -> None:
    assert ask(desk, opcode, body, everybody) in DOCUMENTED


@settings(max_examples=600)
@given(data=st.data(), parameters=VALUES | NEAR)
def test_any_parameters_of_any_mechanism_are_answered_as_the_oracle_says(
    desk: Desk, goods: tuple[list[Good], Expected], data: st.DataObject, parameters: Any
) -> None:
    good = data.draw(st.sampled_from(goods[0]), label="use")
    fields = {**good.fresh(), "parameters": parameters}
    asked = desk.ask(good.opcode, packed(list(fields.values())))
    assert asked.status in goods[1].statuses(good, fields), asked.word
    assert desk.internal_errors == 0


@settings(max_examples=300)
@given(data=st.data())
def test_any_few_fields_of_any_use_are_answered_as_the_oracle_says(
    desk: Desk, goods: tuple[list[Good], Expected], data: st.DataObject
) -> None:
    good = data.draw(st.sampled_from(goods[0]), label="use")
    fields = good.fresh()
    for name in data.draw(st.lists(st.sampled_from(list(fields)), min_size=2, max_size=3, unique=True), label="fields"):
        fields[name] = data.draw(VALUES | NEAR, label=name)
    if good.new_key is not None and isinstance(fields[good.new_key], bytes) and len(fields[good.new_key]) == 16:
        fields[good.new_key] = os.urandom(16)  # An id is found again, and then KEY_EXISTS is right.
    asked = desk.ask(good.opcode, packed(list(fields.values())))
    assert asked.status in goods[1].statuses(good, fields), asked.word
    assert desk.internal_errors == 0


@pytest.mark.parametrize("opcode", OPERATIONS, ids=lambda opcode: Opcode(opcode).name.lower())
def test_every_field_of_every_operation_takes_values_of_its_type_only(
    desk: Desk, everybody: int, count: Callable[[str, int], None], opcode: int
) -> None:
    form = form_of(OPERATIONS[opcode].request)
    plain = [smallest_value(field.type) for field in form.fields]
    bodies = [packed([*plain, None])] if form.fields else []
    values = [plain]
    for place, field in enumerate(form.fields):
        for _, value in hostile_values(field.type):
            values.append(filled([*plain[:place], value, *plain[place + 1 :]], MAX_BODY_BYTES))
    offered = desk.ask(opcode, packed(plain), everybody).status not in (Status.UNKNOWN_OPERATION, Status.DENIED)
    answers = desk.ask_all([Asked(opcode, packed(value), everybody) for value in values])
    for value, answer in zip(values, answers, strict=True):
        expected = DOCUMENTED if fits(form, value) or not offered else {Status.BAD_REQUEST}
        assert answer.status in expected, (answer.word, f"{value!r:.200}")
    count("hostile forms refused by a node", sum(not fits(form, value) for value in values))
    assert all(desk.ask(opcode, body, everybody).status >> 8 for body in bodies)
