"""Every set of roles, bound as a proxy binds it, at every operation: allowed or refused as the rules in words say."""

import time
from collections.abc import Callable
from itertools import combinations

import pytest
from desk import Answer, Asked, Desk
from operation_bodies import OperationBodies, named_ids, new_id
from role_rules import PEOPLE, Somebody, entitled, needs_partition, verdict
from wire_values import packed

from hsm_wire.opcodes import Opcode
from hsm_wire.operations import ANSWERED_BY_PROXY, OPERATIONS, Role
from hsm_wire.statuses import Status

OPERATION_LIST = [Opcode(number) for number in OPERATIONS]
ROLE_SETS = [frozenset(chosen) for size in range(len(Role) + 1) for chosen in combinations(Role, size)]
PEOPLE_AT_THE_DOOR = [
    *(Somebody(roles, partition, expired) for roles in ROLE_SETS for partition in (0, 1) for expired in (False, True)),
    *(Somebody(roles, partition, proxy=True) for roles in ROLE_SETS for partition in (0, 1)),
]
"""Every set of roles, of nobody's partition and of one; as a client, whose certificate may have ended, and a proxy."""

ADOPT = Opcode.ADOPT_KEY
"""There is no device here that has a key."""


@pytest.fixture(scope="module")
def bodies(desk: Desk) -> OperationBodies:
    return OperationBodies(desk.ask, desk.offered)


@pytest.fixture(scope="module")
def offered(desk: Desk, bodies: OperationBodies) -> frozenset[Opcode]:
    """The operations that this version has."""
    everybody = announced(desk, Somebody(PEOPLE))
    return frozenset(
        opcode for opcode in OPERATION_LIST if ask(desk, opcode, bodies, everybody).status != Status.UNKNOWN_OPERATION
    )


def announced(desk: Desk, somebody: Somebody) -> int:
    """Return the number under which a BIND has announced somebody, whether or not the node takes it."""
    identity = "proxy/somebody" if somebody.proxy else "client/somebody"
    not_after = int(time.time()) - 10 if somebody.expired else int(time.time()) + 3600
    return desk.bind(sorted(somebody.roles), somebody.partition, identity=identity, not_after=not_after)


def ask(desk: Desk, opcode: Opcode, bodies: OperationBodies, principal: int) -> Answer:
    return desk.ask(opcode, packed(list(bodies.fields(opcode).values())), principal)


def test_what_a_version_lacks_is_what_the_protocol_lets_it_lack(offered: frozenset[Opcode]) -> None:
    missing = set(OPERATION_LIST) - offered - ANSWERED_BY_PROXY
    assert {opcode >> 8 for opcode in missing} <= {3, 4}


@pytest.mark.parametrize("opcode", OPERATION_LIST, ids=lambda opcode: opcode.name.lower())
def test_every_set_of_roles_may_ask_for_what_the_rules_say_and_for_nothing_else(
    desk: Desk,
    bodies: OperationBodies,
    offered: frozenset[Opcode],
    count: Callable[[str, int], None],
    opcode: Opcode,
) -> None:
    expected = [verdict(somebody, opcode, offered=opcode in offered) for somebody in PEOPLE_AT_THE_DOOR]
    asked = [
        Asked(opcode, packed(list(bodies.fields(opcode).values())), announced(desk, somebody))
        for somebody in PEOPLE_AT_THE_DOOR
    ]
    wrong = []
    for somebody, right, answer in zip(PEOPLE_AT_THE_DOOR, expected, desk.ask_all(asked), strict=True):
        done = answer.status == right
        if right is Status.OK and not bodies.known(opcode):  # about what there is to do: no matter of roles
            done = answer.status not in (Status.DENIED, Status.UNKNOWN_OPERATION)
        if not done:
            wrong.append(f"{somebody}: {answer.word}, not {right.name}")
    assert not wrong, "\n".join(wrong)
    count("rows of the matrix of roles: allowed", expected.count(Status.OK))
    count("rows of the matrix of roles: refused", len(expected) - expected.count(Status.OK))


def test_the_table_of_operations_has_the_roles_of_the_rules() -> None:
    assert {Opcode(number): frozenset(row.roles) for number, row in OPERATIONS.items()} == {
        opcode: entitled(opcode) for opcode in OPERATION_LIST
    }


@pytest.mark.parametrize("opcode", [row for row in OPERATION_LIST if named_ids(row)], ids=lambda row: row.name.lower())
def test_what_belongs_to_another_partition_is_not_there_in_every_word(
    desk: Desk, bodies: OperationBodies, count: Callable[[str, int], None], opcode: Opcode
) -> None:
    neighbour = announced(desk, Somebody(PEOPLE, partition=2))
    theirs = bodies.fields(opcode)
    absent = {**theirs, **dict.fromkeys(named_ids(opcode), b"\x01" * 16)}
    answers = [desk.ask(opcode, packed(list(fields.values())), neighbour) for fields in (theirs, absent)]
    assert answers[0].status == Status.KEY_NOT_FOUND, answers[0].word
    assert answers[0] == answers[1]
    count("rows of the matrix of roles: refused", len(answers))


@pytest.mark.parametrize(
    "opcode",
    [row for row in OPERATION_LIST if new_id(row) and not named_ids(row) and row is not ADOPT],
    ids=lambda row: row.name.lower(),
)
def test_an_id_that_another_partition_has_is_free(desk: Desk, bodies: OperationBodies, opcode: Opcode) -> None:
    neighbour = announced(desk, Somebody(PEOPLE, partition=2))
    body = packed(list(bodies.fields(opcode).values()))
    assert [desk.ask(opcode, body, who).status for who in (7, neighbour, 7, neighbour)] == [Status.OK] * 4


def test_nothing_of_another_partition_is_found(desk: Desk, bodies: OperationBodies) -> None:
    stranger = announced(desk, Somebody(PEOPLE, partition=3))
    for opcode in (Opcode.FIND_KEYS, Opcode.FIND_OBJECTS):
        assert desk.ask(opcode, b"\x90", stranger).body == b"\x91\x90"
        assert len(desk.ask(opcode, b"\x90").body) > 10


def test_an_operator_without_a_partition_has_no_keys_and_no_objects(desk: Desk, bodies: OperationBodies) -> None:
    operator = announced(desk, Somebody(frozenset({"use", "manage", "operate"}), partition=0))
    asked = [opcode for opcode in OPERATION_LIST if needs_partition(opcode)]
    assert {ask(desk, opcode, bodies, operator).status for opcode in asked} == {Status.DENIED}
