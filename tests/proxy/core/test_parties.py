"""The shared objects start clean."""

from proxy.core.parties import Request


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
