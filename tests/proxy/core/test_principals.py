"""Numbers for identities: shared by connections, announced, ended, never used again."""

from hsm_wire import kinds
from hsm_wire.frames import FrameSplitter
from hsm_wire.messages import Bind, Unbind, decode_body
from proxy.core.principals import Principals


def parsed(raw, form):
    (frame,) = FrameSplitter(4096).split(raw)
    return decode_body(form, frame.body)


def test_connections_of_one_certificate_share_a_number():
    principals = Principals()
    first = principals.join("spiffe://t/client/a", 3, {"use", "manage"}, bytes(32), 99)
    assert principals.join("spiffe://t/client/a", 3, ["manage", "use"], bytes(32), 99) is first
    assert parsed(first.bind_frame, Bind) == Bind(1, "spiffe://t/client/a", 3, ["manage", "use"], bytes(32), 99)
    assert len(principals) == 1


def test_another_certificate_or_identity_is_another_number():
    principals = Principals()
    numbers = {
        principals.join("a", 1, ["use"]).number,
        principals.join("b", 1, ["use"]).number,
        principals.join("a", 1, ["use"], b"\x01" * 32).number,
        principals.join("a", 1, ["use", "manage"]).number,
    }
    assert len(numbers) == 4


def test_the_last_connection_to_go_ends_the_number_where_it_was_announced(world):
    principals = Principals()
    bound = principals.join("a", 1, ["use"])
    principals.join("a", 1, ["use"])
    link = world.links[world.nodes[0]]
    link.announced.add(bound.number)
    principals.leave(bound, world.table.links)
    assert bound.number in link.announced
    principals.leave(bound, world.table.links)
    assert link.announced == set()
    (frame,) = world.peers[world.nodes[0]].of(kinds.UNBIND)
    assert decode_body(Unbind, frame.body) == Unbind(bound.number)
    assert world.peers[world.nodes[1]].frames == []
    assert principals.join("a", 1, ["use"]).number == bound.number + 1


def test_connections_of_one_identity_are_counted_over_its_certificates(world):
    principals = Principals()
    first = principals.join("a", 1, ["use"], b"1")
    second = principals.join("a", 1, ["use"], b"2")
    principals.join("b", 1, ["use"])
    assert (principals.users("a"), principals.users("b"), principals.users("c")) == (2, 1, 0)
    principals.leave(first, world.table.links)
    principals.leave(second, world.table.links)
    assert (principals.users("a"), first.roles) == (0, frozenset({"use"}))
