"""The shared objects start clean."""

from proxy.core.parties import Link, Owed, Probe, Request


def test_a_new_request_has_run_nowhere(world):
    client, _ = world.client()
    world.ask(client, 9)
    fresh = Request(client, client.in_flight[9].frame, 1.0, 2.0)
    assert (fresh.client_id, fresh.link, fresh.tried, fresh.may_have_run, fresh.done) == (9, None, (), False, False)


def test_clients_do_not_share_what_is_in_flight(world):
    one, _ = world.client()
    other, _ = world.client()
    world.ask(one, 1)
    assert not other.in_flight
    assert not other.wire_ids


def test_ids_on_a_link_are_counted_up_and_never_zero(world):
    link = world.links[world.nodes[0]]
    assert [link.take_id() for _ in range(3)] == [1, 2, 3]
    link.next_id = 0xFFFF_FFFF
    assert [link.take_id() for _ in range(2)] == [0xFFFF_FFFF, 1]


def test_the_ids_tell_how_many_requests_went_over_a_link_but_for_the_proxy_s_own(world):
    link = Link(world.nodes[0].paths[0], lambda raw: None)
    assert link.requests == 0
    for take in (link.take_id, link.take_own_id, link.take_id):
        take()
    assert link.requests == 2
    link.next_id = 0xFFFF_FFFF
    link.take_id()
    assert link.next_id == 1
    assert link.requests == 0xFFFF_FFFF - 1


def test_a_link_without_a_connection_needs_no_closing_and_has_nothing_unsent(world):
    link = Link(world.nodes[0].paths[0], lambda raw: None)
    link.close("a test")
    assert link.unsent() == 0
    assert (link.bulk, link.leaving, link.node) == (False, False, world.nodes[0])


def test_what_is_owed_remembers_where_and_since_when(world):
    client, _ = world.client()
    world.ask(client, 9)
    request = client.in_flight[9]
    owed = Owed(request, request.link)
    assert (owed.link, owed.link_id, owed.sent_at) == (request.link, request.link_id, 100.0)


def test_a_probe_knows_its_challenge(world):
    probe = Probe(world.nodes[0], b"c" * 32, 5.0)
    assert (probe.node, probe.challenge, probe.sent_at) == (world.nodes[0], b"c" * 32, 5.0)
