"""Messages over a stream socket."""

import socket
import threading
from collections.abc import Iterator

import pytest

from hsm_node.backends.pkcs11.channel import Channel, ChannelError, ChannelSilentError
from hsm_node.backends.pkcs11.messages import MAX_MESSAGE_BYTES


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield Channel(one), other


def test_messages_arrive_whole_short_or_long(ends: tuple[Channel, socket.socket]) -> None:
    here, there = ends
    other = Channel(there)
    for message in (b"a", b"b" * 100, b"c" * (1 << 20)):
        sender = threading.Thread(target=other.send, args=(message,))
        sender.start()
        assert here.receive() == message
        sender.join()


def test_a_message_in_pieces_is_put_together(ends: tuple[Channel, socket.socket]) -> None:
    here, there = ends
    for byte in b"\0\0\0\3":
        there.send(bytes([byte]))
    there.send(b"ab")
    threading.Timer(0.0, there.send, (b"c",)).start()
    assert here.receive() == b"abc"


def test_an_end_between_messages_is_empty_and_within_one_an_error(ends: tuple[Channel, socket.socket]) -> None:
    here, there = ends
    there.send(b"\0\0\0\5ab")
    there.close()
    with pytest.raises(ChannelError, match="gone"):
        here.receive()
    assert here.receive() == b""
    with pytest.raises(ChannelError, match="gone"):
        here.send(b"x")


def test_silence_and_messages_without_bound_are_refused(ends: tuple[Channel, socket.socket]) -> None:
    here, there = ends
    here.limit(0.01)
    with pytest.raises(ChannelSilentError):
        here.receive()
    there.send((MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"))
    with pytest.raises(ChannelError, match="too long"):
        here.receive()
    here.close()
