"""Who is waited for, and who is named."""

import hmac

import pytest

from hsm_node.core.confirmations import CURRENT_S, WAIT_S, Nodes, Wait
from hsm_node.core.statements import Confirmation, Registration, Seal, Told, Word

NOW_S = 1000.0
SEAL = Seal(lambda message: hmac.digest(b"k" * 32, message, "sha256"), b"c" * 16)
FORGED = Seal(lambda message: hmac.digest(b"x" * 32, message, "sha256"), b"c" * 16)


def boot(life: int) -> bytes:
    return b"%016d" % life


def node(name: str, revision: int, *, stopped: bool = False, life: int = 1, seal: Seal = SEAL) -> Told:
    path = f"nodes/{name}"
    return Told(path, revision, seal.make(path, Registration(boot(life), life, stopped)))


def confirmed(name: str, revision: int, at: int = 90, *, life: int = 1, seal: Seal = SEAL) -> Told:
    path = f"confirmed/{name}"
    return Told(path, at, seal.make(path, Confirmation(boot(life), revision)))


def out(name: str, revision: int, seal: Seal = SEAL) -> Told:
    return Told(f"out/{name}", revision, seal.make(f"out/{name}", Word(boot(1))))


def wanted(revision: int, seal: Seal = SEAL) -> Told:
    return Told("wanted", revision, seal.make("wanted", Word(b"")))


def gone(path: str, revision: int) -> Told:
    return Told(path, revision, None)


def followed(*rows: Told, now: float = NOW_S) -> Nodes:
    nodes = Nodes(SEAL)
    for row in rows:
        nodes.take(row, now)
    return nodes


def wait(*read: Told, known: Nodes | None = None, now: float = NOW_S) -> Wait:
    return Wait(100, "node-1", [*read, wanted(100)], known or Nodes(SEAL), now, now)


def left(*read: Told, known: Nodes | None = None, now: float = NOW_S) -> set[str]:
    """Who is waited for when the change itself has come by the watch."""
    nodes = (known or followed(*read)).copy()
    change = wait(*read, known=known, now=now)
    nodes.take(wanted(100), now)
    change.heard(nodes, now)
    return change.left


ALL = (node("node-1", 1), node("node-2", 2), node("node-3", 3))
OTHERS = {"node-2", "node-3"}


def test_every_registered_node_but_oneself_and_those_that_stopped_is_waited_for() -> None:
    assert left(*ALL, node("node-4", 4, stopped=True)) == OTHERS


def test_alone_nobody_is_waited_for() -> None:
    assert wait(node("node-1", 1)).is_over(NOW_S)


def test_who_confirmed_the_revision_or_a_later_one_is_off_the_list() -> None:
    change = wait(*ALL, confirmed("node-2", 100))
    assert change.left == {"node-3"}
    change.heard(followed(*ALL, confirmed("node-3", 99)), NOW_S)
    assert not change.is_over(NOW_S)
    change.heard(followed(*ALL, confirmed("node-3", 120)), NOW_S)
    assert change.is_over(NOW_S)
    assert change.unconfirmed == []


def test_after_the_wait_those_that_are_left_are_named() -> None:
    change = wait(*ALL)
    change.heard(followed(*ALL, confirmed("node-2", 100)), NOW_S)
    assert not change.is_over(NOW_S + WAIT_S - 0.001)
    assert change.is_over(NOW_S + WAIT_S)
    assert change.unconfirmed == ["node-3"]


def test_that_a_node_has_stopped_counts_when_all_is_known_that_was_there_when_the_list_was_made() -> None:
    known = followed(node("node-2", 40, stopped=True))
    read = (node("node-2", 60, life=50), node("node-3", 3))
    change = wait(*read, known=known)
    change.heard(known, NOW_S)
    assert change.left == OTHERS
    for row in (*read, wanted(99), node("node-2", 101, life=50, stopped=True), wanted(100)):
        assert change.left == OTHERS
        known.take(row, NOW_S)
        change.heard(known, NOW_S)
    assert change.left == {"node-3"}


def test_a_row_of_an_earlier_life_is_not_believed_because_the_newest_is_not_known_yet() -> None:
    old = node("node-2", 40, stopped=True)
    known = followed(old)
    change = wait(node("node-2", 60, stopped=True), known=known)  # put back over the registration at 50
    for row in (node("node-2", 50, life=45), node("node-2", 60, stopped=True), wanted(100)):
        known.take(row, NOW_S)
        change.heard(known, NOW_S)
        assert change.left == {"node-2"}


def test_a_node_that_starts_again_confirms_what_it_has_loaded() -> None:
    nodes = followed(*ALL)
    change = wait(*ALL, known=nodes)
    nodes.take(node("node-2", 101, life=100), NOW_S)
    nodes.take(confirmed("node-2", 100, 102), NOW_S)  # Of its earlier life: that is over.
    change.heard(nodes, NOW_S)
    assert change.left == OTHERS
    nodes.take(confirmed("node-2", 101, 103, life=100), NOW_S)
    change.heard(nodes, NOW_S)
    assert change.left == {"node-3"}


def test_what_a_node_has_confirmed_stays_when_it_stops() -> None:
    nodes = followed(*ALL, confirmed("node-2", 120), node("node-2", 130, stopped=True))
    assert nodes.has("node-2", 120)
    nodes.replace([*ALL[1:], confirmed("node-2", 110)], NOW_S)
    assert nodes.has("node-2", 120)


# Nodes that are out


def test_a_node_that_was_out_for_long_enough_is_named_and_not_waited_for() -> None:
    known = followed(out("node-3", 60), now=NOW_S - WAIT_S)
    change = wait(*ALL, out("node-3", 60), confirmed("node-2", 100), known=known)
    assert change.is_over(NOW_S)
    assert change.unconfirmed == ["node-3"]
    change.heard(followed(*ALL, confirmed("node-3", 100)), NOW_S)
    assert change.unconfirmed == []


@pytest.mark.parametrize(
    ("known", "read"),
    [
        (followed(out("node-3", 60), now=NOW_S - WAIT_S + 0.01), out("node-3", 60)),  # not for long enough
        (followed(out("node-3", 60), now=NOW_S - WAIT_S), out("node-3", 61)),  # it came back, and is out again
        (followed(out("node-3", 60), now=NOW_S - WAIT_S), node("node-9", 1, stopped=True)),  # it came back
        (Nodes(SEAL), out("node-3", 60)),  # news here
        (followed(out("node-3", 60, FORGED), now=NOW_S - WAIT_S), out("node-3", 60, FORGED)),
    ],
)
def test_a_node_that_is_not_known_to_be_out_is_waited_for(known: Nodes, read: Told) -> None:
    assert wait(*ALL, read, known=known).left >= OTHERS


def test_since_when_a_node_is_out_is_counted_from_the_first_sight_of_that_row() -> None:
    nodes = followed(out("node-3", 60))
    nodes.take(out("node-3", 60), NOW_S + 1)
    nodes.replace([out("node-3", 60)], NOW_S + 2)
    assert nodes.out == {"node-3": (60, NOW_S)}
    nodes.take(gone("out/node-3", 70), NOW_S + 3)
    assert nodes.out == {}


# What no node has said


def test_a_forged_confirmation_confirms_nothing_and_is_counted() -> None:
    nodes = followed(*ALL, confirmed("node-2", 120, seal=FORGED), Told("confirmed/node-3", 91, b"\xff"))
    assert (nodes.refused, nodes.refused_path) == (2, "confirmed/node-3")
    assert left(*ALL, confirmed("node-2", 120, seal=FORGED), known=nodes) == OTHERS


def test_another_nodes_confirmation_put_in_a_nodes_place_confirms_nothing() -> None:
    moved = Told("confirmed/node-3", 91, confirmed("node-2", 120).data)
    assert left(*ALL, moved) == OTHERS


@pytest.mark.parametrize(
    "instead",
    [
        node("node-2", 60, stopped=True, seal=FORGED),
        node("node-2", 60, stopped=True, life=10),  # what an earlier life has said, put back
        Told("nodes/node-2", 60, b"\xff"),
        gone("nodes/node-2", 60),
    ],
)
def test_who_takes_a_registration_away_has_its_node_waited_for_until_it_serves_no_more(instead: Told) -> None:
    nodes = followed(node("node-2", 30, life=20))
    read = () if instead.data is None else (instead,)
    assert wait(*read, known=nodes).left == {"node-2"}  # also before that has come by the watch
    nodes.take(instead, NOW_S)
    nodes.take(wanted(100), NOW_S)
    nodes.replace(list(read), NOW_S + 0.1)
    later = wait(*read, known=nodes, now=NOW_S + 0.5)
    assert not later.is_over(later.ends - 0.001)
    assert left(*read, known=nodes, now=NOW_S + WAIT_S) == set()
    assert WAIT_S > 2 * CURRENT_S  # for so long it may serve before it finds out
    later.heard(nodes, NOW_S + WAIT_S)
    assert later.unconfirmed == []


def test_two_old_words_in_a_row_are_no_new_life() -> None:
    last = node("node-2", 61, stopped=True, life=10)
    nodes = followed(node("node-2", 30, life=20), node("node-2", 60, life=10), last)
    assert nodes.refused == 2
    assert left(last, known=nodes) == {"node-2"}


def test_a_node_whose_registration_was_taken_away_is_known_again_when_it_starts_again() -> None:
    nodes = followed(node("node-2", 30, life=20), gone("nodes/node-2", 60), node("node-2", 70, life=65))
    assert left(node("node-2", 70, life=65), known=nodes) == {"node-2"}
    nodes.take(node("node-2", 80, stopped=True, life=65), NOW_S)
    assert left(node("node-2", 80, stopped=True, life=65), known=nodes) == set()


def test_what_speaks_of_nobody_makes_nobody_waited_for() -> None:
    nodes = followed(node("node-7", 5, seal=FORGED), Told("else", 6, b""), confirmed("node-8", 50), wanted(9, FORGED))
    assert (nodes.known, nodes.wanted, nodes.refused) == ({}, 0, 3)


def test_rows_that_are_no_more_are_forgotten_and_late_ones_change_nothing() -> None:
    nodes = followed(node("node-2", 5), out("node-2", 7), wanted(8))
    nodes.take(node("node-2", 4, stopped=True), NOW_S)
    assert not nodes.known["node-2"].is_off(NOW_S + WAIT_S)
    nodes.take(wanted(2), NOW_S)
    assert nodes.wanted == 8
    nodes.replace([], NOW_S)
    assert nodes.out == {}
    assert nodes.known["node-2"].is_off(NOW_S + WAIT_S)


def test_who_is_registered_and_who_of_them_is_out_can_be_told() -> None:
    nodes = followed(*ALL, out("node-3", 50), out("node-9", 51))
    assert (nodes.registered, nodes.missing) == (["node-1", "node-2", "node-3"], ["node-3"])
    assert (nodes.registered_at("node-3"), nodes.registered_at("node-9")) == (3, 0)
    nodes.take(gone("nodes/node-3", 60), NOW_S)
    assert (nodes.registered, nodes.missing, nodes.registered_at("node-3")) == (["node-1", "node-2"], [], 0)
