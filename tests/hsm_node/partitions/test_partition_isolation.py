"""Two partitions on one node: neither sees, uses, changes or finds out about what the other has.

The property is non-interference: a partition's requests have the same answers, byte by byte, and take the same way
through the node, whether the other partition does something or not. What is shared and so outside of it: queues and
their OVERLOADED, the cache of keys at work (4096 of all partitions), and that a node reads what anybody wrote before it
serves the next request: how busy others are shows, and nothing of what they have.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from partition_requests import (
    IDS,
    NAMED,
    OPERATIONS_OF_KEYS,
    USES,
    WRAPPER,
    Asked,
    all_usages,
    any_requests,
    encoded,
    every_use,
    filling,
    fitting,
    good_parameters,
    learnt,
    material,
    requests,
)
from partition_world import Answer, World

from hsm_wire import messages as m
from hsm_wire import objects as o
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.messages import Policy, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag

A, B = 1, 2
Step = tuple[int, Asked | float]
"""Who asks what; of nobody: seconds that pass."""
Seen = list[tuple[Answer, Counter[str]]]
Make = Callable[[], World]


def play(world: World, steps: Sequence[Step], whose: Sequence[int] = (A, B)) -> dict[int, Seen]:
    """Let these partitions do their steps; return what each saw, and what it cost."""
    seen: dict[int, Seen] = {A: [], B: []}
    last: dict[int, dict[str, bytes]] = {A: {}, B: {}}
    for who, what in steps:
        if not isinstance(what, Asked):
            world.wait(what)
        elif who in whose:
            answer, cost = world.ask(who, what.opcode, encoded(what, last[who]))
            seen[who].append((learnt(what, answer, last[who]), cost))
    assert world.keystore.failures.internal == 0
    return seen


WHO = st.sampled_from([[A], [B], [A, B], [B, A]])
"""Often both, one after the other, and the same."""
ASKED = st.tuples(WHO, any_requests()).map(lambda drawn: [(who, asked) for who in drawn[0] for asked in drawn[1]])
PASSES = st.sampled_from([1.0, 70.0]).map(lambda seconds: [(0, seconds)])
STEPS = st.builds(
    lambda first, then: [*first, *(step for steps in then for step in steps)],
    filling(),
    st.lists(st.one_of(*[ASKED] * 7, PASSES), min_size=20, max_size=50),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(STEPS)
def test_what_a_partition_sees_does_not_depend_on_what_another_does(make_world: Make, steps: list[Step]) -> None:
    together = play(make_world(), steps)
    for who in (A, B):
        assert play(make_world(), steps, [who])[who] == together[who]


def test_no_use_of_a_key_by_another_partition_shows_whatever_the_mechanism(make_world: Make) -> None:
    """Both have the same keys under the same ids, and B does first what A then does."""
    steps: list[Step] = [(who, asked) for asked in every_use() for who in (B, A)]
    seen = []
    for whose in ((A,), (A, B)):
        world = make_world()
        for who in whose:
            full(world, who, every_flag=True)
        seen.append(play(world, steps, whose)[A])
    assert seen[0] == seen[1]
    done = [answer for answer, _ in seen[0] if answer.status == Status.OK]
    assert len(done) > 60
    assert len({answer.status for answer, _ in seen[0]}) < 6


def test_the_sequences_have_every_operation_of_keys_and_objects() -> None:
    assert {opcode >> 8 for opcode in OPERATIONS_OF_KEYS} == {0, 1, 2, 3}
    of_keys = [opcode for opcode in OPERATIONS if opcode < 0x0400]
    assert len(OPERATIONS_OF_KEYS) == len(of_keys) - 4, "all but STATUS, EVENTS, CHECK and USAGE"


def full(world: World, partition: int, *, every_flag: bool = False) -> None:
    """Give a partition a key and an object of every id."""
    flags = 0x7F if every_flag else int(PolicyFlag.EXPORTABLE)
    for key_id, name in IDS.items():
        policy = Policy() if key_id == WRAPPER else Policy(flags)
        body = m.ImportKey(key_id, name, material(name), "tls", all_usages(key_id, name), policy)
        assert world.ask(partition, Opcode.IMPORT_KEY, encode_body(body))[0].status == Status.OK
        made = o.CreateObject(key_id, o.DATA, b"value", "tls")
        assert world.ask(partition, Opcode.CREATE_OBJECT, encode_body(made))[0].status == Status.OK


def disabled(world: World, partition: int) -> None:
    """The same, disabled."""
    full(world, partition)
    for key_id in IDS:
        world.ask(partition, Opcode.UPDATE_KEY, encode_body(m.UpdateKey(key_id, enabled=False)))


def destroyed(world: World, partition: int) -> None:
    """The same, destroyed."""
    full(world, partition)
    for key_id in IDS:
        world.ask(partition, Opcode.DESTROY_KEY, encode_body(m.DestroyKey(key_id)))
        world.ask(partition, Opcode.DESTROY_OBJECT, encode_body(o.DestroyObject(key_id)))


def damaged(world: World, partition: int) -> None:
    """The same, in records that somebody has changed."""
    full(world, partition)
    for row in world.store.rows_after(0):
        assert world.store.change(row.name, row.revision, row.data[:-1] + bytes([row.data[-1] ^ 1])) is not None


def nothing(_world: World, _partition: int) -> None:
    """Leave it empty."""


NEIGHBOURS = [full, disabled, destroyed, damaged]


def one_of_each(opcode: int) -> list[Asked]:
    """Return requests of one operation with each id, that would succeed with a key of that id."""
    form = OPERATIONS[opcode].request
    found = []
    for key_id in IDS:
        values = {
            **dict.fromkeys(NAMED, key_id),
            "key_type": IDS[key_id],
            "material": material(IDS[key_id]),
            "label": "tls",
            "usage": 0,
            "policy": Policy(int(PolicyFlag.EXPORTABLE)) if key_id != WRAPPER else Policy(),
            **dict.fromkeys(("data", "signature", "wrapped", "ciphertext", "value"), bytes(32)),
            "parameters": None,
            "limit": 256,
            "length": 16,
            "kind": o.DATA,
            "expected_version": 0,
            "wait_s": 0,
            "enabled": None,
            "device_object": "a key of the device",
        }
        if "mechanism" in form.__struct_fields__:
            values["mechanism"] = fitting(key_id, USES[Opcode(opcode)])[-1]
            values["parameters"] = good_parameters(MECHANISMS[values["mechanism"]].parameters, opening=False)
        if opcode in (Opcode.FIND_KEYS, Opcode.FIND_OBJECTS):
            values["after"] = b""
        found.append(Asked(opcode, {name: values[name] for name in form.__struct_fields__}))
    return found


@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=lambda way: way.__name__)
def test_a_key_of_another_partition_is_one_that_does_not_exist(
    make_world: Make, neighbour: Callable[[World, int], None]
) -> None:
    """Every operation with every id: the same answer and the same way, whatever the neighbour has under that id."""
    for opcode in OPERATIONS_OF_KEYS:
        seen = []
        for prepare in (nothing, neighbour):
            world = make_world()
            prepare(world, B)
            last: dict[str, bytes] = {}
            answers = [world.ask(A, asked.opcode, encoded(asked, {})) for asked in one_of_each(opcode)]
            pairs = zip(one_of_each(opcode), answers, strict=True)
            seen.append([(learnt(asked, answer, last), cost) for asked, (answer, cost) in pairs])
        assert seen[0] == seen[1], Opcode(opcode).name


def test_two_partitions_have_the_same_keys_under_the_same_ids_and_each_destroys_its_own(make_world: Make) -> None:
    world = make_world()
    full(world, A)
    full(world, B)
    ask = m.FindKeys()
    before = [world.ask(who, Opcode.FIND_KEYS, encode_body(ask))[0] for who in (A, B)]
    assert before[0] == before[1]
    for key_id in IDS:
        world.ask(A, Opcode.DESTROY_KEY, encode_body(m.DestroyKey(key_id)))
    after = [world.ask(who, Opcode.FIND_KEYS, encode_body(ask))[0] for who in (A, B)]
    assert m.decode_body(m.FindKeysResult, after[0].body).keys == []
    assert after[1] == before[1]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_no_request_of_one_partition_moves_a_record_of_another(make_world: Make, data: st.DataObject) -> None:
    world = make_world()
    full(world, B)
    kept = {row.name: row.data for row in world.store.rows_after(0)}
    last: dict[str, bytes] = {}
    for opcode in OPERATIONS_OF_KEYS:
        asked = data.draw(requests(opcode))
        answer, _ = world.ask(A, opcode, encoded(asked, last))
        learnt(asked, answer, last)
    now = {row.name: row.data for row in world.store.rows_after(0)}
    assert {name: now[name] for name in kept} == kept


def test_the_comparison_would_notice_a_neighbour(make_world: Make) -> None:
    """What shows a neighbour in one place: the same partition, asked twice, with and without keys of its own."""
    body = encode_body(m.DescribeKey(next(iter(IDS))))
    empty, own = make_world(), make_world()
    full(own, A)
    answers = [world.ask(A, Opcode.DESCRIBE_KEY, body) for world in (empty, own)]
    assert answers[0] != answers[1]
    signing = encode_body(m.Sign(next(key for key in IDS if IDS[key] == "hmac-256"), 0x0251, m.NIL_PARAMETERS, b"data"))
    costs = [world.ask(A, Opcode.SIGN, signing)[1] for world in (empty, own)]
    assert costs[0] != costs[1]
