"""Who is waited for, and who is named."""

import pytest
from msgspec.msgpack import encode

from hsm_node.core.confirmations import WAIT_S, Confirmation, Nodes, Registration, Told, Wait

NOW_S = 1000.0


def node(name: str, revision: int, *, stopped: bool = False) -> Told:
    return Told(f"nodes/{name}", revision, encode(Registration(b"b" * 16, stopped)))


def confirmed(name: str, revision: int, at: int = 90) -> Told:
    return Told(f"confirmed/{name}", at, encode(Confirmation(revision)))


def out(name: str, revision: int) -> Told:
    return Told(f"out/{name}", revision, b"")


def wait(*read: Told, followed: Nodes | None = None, now: float = NOW_S) -> Wait:
    return Wait(100, "node-1", list(read), followed or Nodes(), now, now)


def followed(*rows: Told, now: float = NOW_S) -> Nodes:
    nodes = Nodes()
    for row in rows:
        nodes.take(row, now)
    return nodes


ALL = (node("node-1", 1), node("node-2", 2), node("node-3", 3))


def test_every_registered_node_but_oneself_and_those_that_stopped_is_waited_for() -> None:
    assert wait(*ALL, node("node-4", 4, stopped=True)).left == {"node-2", "node-3"}


def test_alone_nobody_is_waited_for() -> None:
    assert wait(node("node-1", 1)).is_over(NOW_S)


def test_a_damaged_registration_is_waited_for() -> None:
    assert wait(Told("nodes/node-2", 5, b"\xff")).left == {"node-2"}


def test_who_confirmed_the_revision_or_a_later_one_is_off_the_list() -> None:
    change = wait(*ALL, confirmed("node-2", 100))
    assert change.left == {"node-3"}
    change.heard(followed(confirmed("node-3", 99)))
    assert not change.is_over(NOW_S)
    change.heard(followed(confirmed("node-3", 120)))
    assert change.is_over(NOW_S)
    assert change.unconfirmed == []


def test_what_cannot_be_read_confirms_nothing() -> None:
    change = wait(*ALL)
    change.heard(followed(Told("confirmed/node-2", 105, b"\xff")))
    assert change.left == {"node-2", "node-3"}


def test_after_the_wait_those_that_are_left_are_named() -> None:
    change = wait(*ALL)
    change.heard(followed(confirmed("node-2", 100)))
    assert not change.is_over(NOW_S + WAIT_S - 0.001)
    assert change.is_over(NOW_S + WAIT_S)
    assert change.unconfirmed == ["node-3"]


@pytest.mark.parametrize(("revision", "left"), [(50, {"node-2", "node-3"}), (101, {"node-3"})])
def test_stopped_counts_only_in_a_row_that_is_newer_than_the_change(revision: int, left: set[str]) -> None:
    change = wait(*ALL)
    change.heard(followed(node("node-2", revision, stopped=True)))
    assert change.left == left


def test_a_node_that_was_out_for_long_enough_is_named_and_not_waited_for() -> None:
    known = followed(out("node-3", 60), now=NOW_S - WAIT_S)
    change = wait(*ALL, out("node-3", 60), confirmed("node-2", 100), followed=known)
    assert change.is_over(NOW_S)
    assert change.unconfirmed == ["node-3"]
    change.heard(followed(confirmed("node-3", 100)))
    assert change.unconfirmed == []


@pytest.mark.parametrize(
    ("known", "read"),
    [
        (followed(out("node-3", 60), now=NOW_S - WAIT_S + 0.01), out("node-3", 60)),  # not for long enough
        (followed(out("node-3", 60), now=NOW_S - WAIT_S), out("node-3", 61)),  # it came back, and is out again
        (followed(out("node-3", 60), now=NOW_S - WAIT_S), node("node-9", 1, stopped=True)),  # it came back
        (Nodes(), out("node-3", 60)),  # news here
    ],
)
def test_a_node_that_is_not_known_to_be_out_is_waited_for(known: Nodes, read: Told) -> None:
    assert wait(*ALL, read, followed=known).left == {"node-2", "node-3"}


def test_since_when_a_node_is_out_is_counted_from_the_first_sight_of_that_row() -> None:
    nodes = followed(out("node-3", 60))
    nodes.take(out("node-3", 60), NOW_S + 1)
    nodes.replace([out("node-3", 60)], NOW_S + 2)
    assert nodes.out == {"node-3": (60, NOW_S)}
    nodes.take(Told("out/node-3", 70, None), NOW_S + 3)
    assert nodes.out == {}


def test_rows_that_are_no_more_are_forgotten_and_late_ones_change_nothing() -> None:
    nodes = followed(node("node-2", 5), node("node-3", 6), out("node-2", 7), Told("wanted", 8, b""))
    nodes.take(node("node-2", 4, stopped=True), NOW_S)
    assert not nodes.registered["node-2"][1].stopped
    nodes.take(Told("nodes/node-3", 9, None), NOW_S)
    assert set(nodes.registered) == {"node-2"}
    nodes.take(Told("wanted", 2, b""), NOW_S)
    assert nodes.wanted == 8
    nodes.replace([], NOW_S)
    assert (nodes.registered, nodes.out) == ({}, {})
