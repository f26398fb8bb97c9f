"""Who may send what, when: the state machine of both ends as one table.

Everything that affects states and transitions lives in this file. Both ends of a connection keep the same
state, because a transition is named by who sends (CLIENT opened the connection, SERVER accepted it), not by who
looks. A pair that is not in the table is a protocol error, and after that the connection is BROKEN for good.

Once either side has said GOAWAY a REQUEST may still cross it on the wire, so it stays legal from a client that
has not said GOAWAY itself: the server answers it with GOING_AWAY, not executed.
"""

from enum import Enum

from hsm_wire.kinds import Kind


class End(Enum):
    """The two ends of a connection."""

    CLIENT = "client"
    SERVER = "server"


class State(Enum):
    """Where a connection stands."""

    NEW = "new"
    GREETED = "greeted"
    """HELLO was sent."""
    OPEN = "open"
    SERVER_LEAVING = "server leaving"
    CLIENT_LEAVING = "client leaving"
    BOTH_LEAVING = "both leaving"
    REFUSED = "refused"
    """The server answered HELLO with a failed RESPONSE; nothing follows."""
    BROKEN = "broken"
    """A rule was broken; nothing follows."""


def _rows() -> dict[tuple[State, End, Kind], State]:
    client, server = End.CLIENT, End.SERVER
    table = {
        (State.NEW, client, Kind.HELLO): State.GREETED,
        (State.NEW, server, Kind.RESPONSE): State.REFUSED,
        (State.GREETED, server, Kind.WELCOME): State.OPEN,
        (State.GREETED, server, Kind.RESPONSE): State.REFUSED,
        (State.OPEN, server, Kind.GOAWAY): State.SERVER_LEAVING,
        (State.OPEN, client, Kind.GOAWAY): State.CLIENT_LEAVING,
        (State.SERVER_LEAVING, client, Kind.GOAWAY): State.BOTH_LEAVING,
        (State.CLIENT_LEAVING, server, Kind.GOAWAY): State.BOTH_LEAVING,
    }
    for state in (State.OPEN, State.SERVER_LEAVING, State.CLIENT_LEAVING, State.BOTH_LEAVING):
        for end, kind in (
            (client, Kind.CANCEL),
            (client, Kind.UNBIND),
            (client, Kind.PING),
            (client, Kind.PONG),
            (server, Kind.PING),
            (server, Kind.PONG),
            (server, Kind.RESPONSE),
        ):
            table[state, end, kind] = state
    for state in (State.OPEN, State.SERVER_LEAVING):
        table[state, client, Kind.REQUEST] = state
        table[state, client, Kind.BIND] = state
    return table


TRANSITIONS: dict[tuple[State, End, Kind], State] = _rows()
"""(state, who sends, kind) -> the state after it."""

# The same by plain integers, one dictionary a (state, end): the shells look a kind up per frame.
NEXT_STATE: dict[tuple[State, End], dict[int, State]] = {
    (state, end): {
        int(kind): after for (before, sender, kind), after in TRANSITIONS.items() if (before, sender) == (state, end)
    }
    for state in State
    for end in End
}
