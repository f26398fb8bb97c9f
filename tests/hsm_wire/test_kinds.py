from hsm_wire import kinds
from hsm_wire.kinds import Flag, Kind


def test_kinds_have_the_numbers_of_the_contract() -> None:
    assert [(kind.name, int(kind)) for kind in Kind] == [
        ("HELLO", 1),
        ("WELCOME", 2),
        ("REQUEST", 3),
        ("RESPONSE", 4),
        ("PING", 5),
        ("PONG", 6),
        ("GOAWAY", 7),
        ("CANCEL", 8),
        ("BIND", 9),
        ("UNBIND", 10),
    ]


def test_plain_integers_are_those_of_the_enumeration() -> None:
    for kind in Kind:
        plain = getattr(kinds, kind.name)
        assert type(plain) is int
        assert plain == kind


def test_flags_are_two_bits_of_a_response_and_two_of_a_request() -> None:
    assert (Flag.NOT_EXECUTED, Flag.STALE, kinds.RESPONSE_FLAGS) == (1, 2, 3)
    assert (Flag.DURABLE_QUORUM, Flag.DURABLE_DR, kinds.REQUEST_FLAGS) == (4, 8, 12)
