"""What waits between two nodes, counted."""

from hsm_wire.frames import Frame
from hsm_wire.messages import Bind
from proxy.core.parties import Client, Request
from proxy.core.principals import Bound
from proxy.core.requests.waiting_room import WaitingRoom


def request(number, size):
    client = Client(lambda raw: None, Bound(Bind(1, "spiffe://t/client/c", 1, ["use"], b"", 0)))
    return Request(client, Frame(3, 0, number, 0, 0, 0, 0, 0, bytes(size)), 0.0, 0.0)


def test_it_keeps_the_order_and_counts_bytes_once():
    room = WaitingRoom()
    first, second = request(1, 10), request(2, 20)
    for entry in (first, second, first):
        room.add(entry)
    assert (list(room), len(room), room.bytes) == ([first, second], 2, 30)
    assert first in room
    room.discard(first)
    room.discard(first)
    assert (list(room), len(room), room.bytes) == ([second], 1, 20)
    assert first not in room
