"""The table is written out here a second time, by hand: a row that slips in or out fails."""

from hsm_wire.kinds import Kind
from hsm_wire.states import NEXT_STATE, TRANSITIONS, End, State

C, S = End.CLIENT, End.SERVER
OPEN_STATES = (State.OPEN, State.SERVER_LEAVING, State.CLIENT_LEAVING, State.BOTH_LEAVING)


def test_exactly_these_pairs_are_legal() -> None:
    legal: dict[tuple[State, End], set[Kind]] = {(state, end): set() for state in State for end in End}
    legal[State.NEW, C] = {Kind.HELLO}
    legal[State.NEW, S] = {Kind.RESPONSE}
    legal[State.GREETED, S] = {Kind.WELCOME, Kind.RESPONSE}
    always = {Kind.CANCEL, Kind.UNBIND, Kind.PING, Kind.PONG}
    legal[State.OPEN, C] = always | {Kind.REQUEST, Kind.BIND, Kind.GOAWAY}
    legal[State.SERVER_LEAVING, C] = always | {Kind.REQUEST, Kind.BIND, Kind.GOAWAY}
    legal[State.CLIENT_LEAVING, C] = legal[State.BOTH_LEAVING, C] = always
    legal[State.OPEN, S] = legal[State.CLIENT_LEAVING, S] = {Kind.PING, Kind.PONG, Kind.RESPONSE, Kind.GOAWAY}
    legal[State.SERVER_LEAVING, S] = legal[State.BOTH_LEAVING, S] = {Kind.PING, Kind.PONG, Kind.RESPONSE}
    found: dict[tuple[State, End], set[Kind]] = {(state, end): set() for state in State for end in End}
    for state, end, kind in TRANSITIONS:
        found[state, end].add(kind)
    assert found == legal


def test_only_greeting_refusing_and_leaving_change_the_state() -> None:
    moves = {key: after for key, after in TRANSITIONS.items() if after is not key[0]}
    assert moves == {
        (State.NEW, C, Kind.HELLO): State.GREETED,
        (State.NEW, S, Kind.RESPONSE): State.REFUSED,
        (State.GREETED, S, Kind.WELCOME): State.OPEN,
        (State.GREETED, S, Kind.RESPONSE): State.REFUSED,
        (State.OPEN, S, Kind.GOAWAY): State.SERVER_LEAVING,
        (State.OPEN, C, Kind.GOAWAY): State.CLIENT_LEAVING,
        (State.SERVER_LEAVING, C, Kind.GOAWAY): State.BOTH_LEAVING,
        (State.CLIENT_LEAVING, S, Kind.GOAWAY): State.BOTH_LEAVING,
    }


def test_nothing_leaves_the_final_states() -> None:
    assert not [key for key in TRANSITIONS if key[0] in (State.REFUSED, State.BROKEN)]


def test_an_answer_owed_may_be_sent_in_every_open_state() -> None:
    assert all((state, S, Kind.RESPONSE) in TRANSITIONS for state in OPEN_STATES)


def test_the_fast_table_says_the_same_as_the_readable_one() -> None:
    assert set(NEXT_STATE) == {(state, end) for state in State for end in End}
    flat = {(state, end, Kind(kind)): after for (state, end), row in NEXT_STATE.items() for kind, after in row.items()}
    assert flat == TRANSITIONS
