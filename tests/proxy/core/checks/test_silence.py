"""Silence: a link that owes answers and brings no byte. 100 = now."""

import pytest

from hsm_wire import kinds
from proxy.core.checks.silence import forgive, links_of, silent, suspect
from proxy.core.nodes.node_table import Node
from proxy.core.parties import Link
from proxy.core.settings import Settings


class Way:
    """A node with links over some paths, each of which owes an answer since 100."""

    def __init__(self, peers, uplinks="ab", *, bulk=False):
        self.node = Node("n", "s", 1, [(uplink, f"h:{uplink}") for uplink in uplinks])
        self.settings = Settings()
        self.unsent = 0
        self.peers = {}
        for path in self.node.paths:
            path.link = self.link(peers, path, bulk=False)
            if bulk:
                path.bulk = self.link(peers, path, bulk=True)
        for link in links_of(self.node):
            link.in_flight[1] = object()
            link.owing_since = link.heard = 100.0

    def link(self, peers, path, *, bulk):
        peer = peers()
        link = Link(path, peer.sink, bulk=bulk, unsent=lambda: self.unsent)
        self.peers[link] = peer
        return link

    def lost(self, now):
        return [link for link, _ in silent(self.node, self.settings, now)]

    def pinged(self):
        return [link for link, peer in self.peers.items() if peer.of(kinds.PING)]


@pytest.fixture
def way(world):
    return Way(type(world.peers[world.nodes[0]]))


@pytest.fixture
def make_way(world):
    return lambda *args, **more: Way(type(world.peers[world.nodes[0]]), *args, **more)


def test_after_half_a_second_without_a_byte_all_paths_are_pinged_at_once(way):
    first, second = links_of(way.node)
    second.heard = 100.4
    assert way.lost(100.49) == []
    assert way.pinged() == []
    assert way.lost(100.5) == []
    assert way.pinged() == [first, second]


def test_the_pings_of_suspicion_have_ids_of_their_own_in_the_order_in_which_they_are_sent(way):
    way.node.pings.next()
    way.lost(100.5)
    assert [frame.request_id for peer in way.peers.values() for frame in peer.frames] == [2, 3]


def test_a_link_is_pinged_once_for_one_silence(way):
    for beat in range(20, 39):
        way.lost(100 + beat * 0.025)
    assert [len(peer.frames) for peer in way.peers.values()] == [1, 1]


def test_half_a_second_after_the_ping_every_silent_link_is_lost(way):
    way.lost(100.5)
    assert way.lost(100.99) == []
    assert way.lost(101.0) == links_of(way.node)


def test_a_silent_path_is_given_up_after_the_grace_when_another_one_answers(way):
    first, second = links_of(way.node)
    way.lost(100.5)
    second.heard = 100.51
    assert way.lost(100.58) == []
    assert silent(way.node, way.settings, 100.61) == [(first, "silent while another path answers")]


def test_the_bulk_link_of_the_same_path_is_no_other_path(make_way):
    way = make_way("a", bulk=True)
    small, bulk = links_of(way.node)
    way.lost(100.5)
    bulk.heard = 100.51
    assert way.lost(100.9) == []
    assert way.lost(101.0) == [small]


def test_a_byte_after_the_ping_ends_the_suspicion(way):
    way.lost(100.5)
    for link in links_of(way.node):
        link.heard = 100.7
    assert way.lost(101.0) == []
    assert way.lost(101.1) == []
    way.lost(101.2)
    assert [len(peer.frames) for peer in way.peers.values()] == [2, 2], "silent anew since 100.7"


def test_a_byte_that_came_before_the_ping_does_not(way):
    way.lost(100.5)
    for link in links_of(way.node):
        link.heard = 100.4
    assert way.lost(101.0) == links_of(way.node)


def test_a_link_that_owes_nothing_is_not_silent(way):
    for link in links_of(way.node):
        link.in_flight.clear()
    assert way.lost(200.0) == []
    assert way.pinged() == []


def test_silence_is_counted_from_when_the_link_began_to_owe(way):
    for link in links_of(way.node):
        link.heard, link.owing_since = 50.0, 100.4
    way.lost(100.8)
    assert way.pinged() == []
    way.lost(100.9)
    assert way.pinged() == links_of(way.node)


def test_a_link_with_bytes_that_the_system_has_not_taken_is_not_silent(way):
    way.unsent = 1
    way.lost(109.0)
    assert way.pinged() == []
    way.unsent = 0
    way.lost(109.0)
    assert way.pinged() == links_of(way.node)


def test_what_the_proxy_missed_while_it_stood_still_is_forgiven(way):
    way.lost(100.5)
    forgive(links_of(way.node), 130.0)
    assert way.lost(130.0) == []
    assert way.lost(130.4) == []
    way.lost(130.5)
    assert [len(peer.frames) for peer in way.peers.values()] == [2, 2]


def test_closed_links_are_not_among_a_node_s_links(way):
    way.node.paths[0].link = None
    assert [link.path.uplink for link in links_of(way.node)] == ["b"]


def test_a_second_link_that_becomes_silent_does_not_put_off_the_first(way):
    first, second = links_of(way.node)
    second.in_flight.clear()
    way.lost(100.5)
    second.heard = 100.4  # it brought nothing after the PING either
    second.probed_at = 0.0
    second.in_flight[1] = object()
    second.owing_since = 100.4
    way.lost(100.95)
    assert (first.probed_at, second.probed_at) == (100.5, 100.95)
    assert way.lost(101.0) == [first]


def test_a_node_under_suspicion_is_pinged_over_every_link_once(make_way):
    way = make_way("a", bulk=True)
    suspect(way.node, 101.0)
    suspect(way.node, 101.1)
    assert {link: len(peer.of(kinds.PING)) for link, peer in way.peers.items()} == dict.fromkeys(links_of(way.node), 1)
    assert way.lost(101.4) == []
    assert way.lost(101.5) == links_of(way.node)
