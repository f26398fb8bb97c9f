"""What parent and worker say, as bytes, however these are cut."""

import msgspec
import pytest

from hsm_wire.messages import EventReport
from proxy.config import Sources
from proxy.workers.loads import Load, NodeLoad
from proxy.workers.messages import (
    LENGTH_BYTES,
    MAX_MESSAGE_BYTES,
    Ask,
    Beat,
    Begin,
    Changed,
    Doing,
    FromParent,
    FromWorker,
    Happened,
    Hint,
    Leave,
    Loads,
    MalformedError,
    Others,
    Page,
    Reload,
    Reloaded,
    Serving,
    Splitter,
    Told,
    encode,
)

SOURCES = Sources(b"name = 1", b"[cluster]")
EVENT = EventReport(3, "now", "info", "s", "n", "it happened")
LOAD = Load(1, 2, 3, 4, 5, 6.0, 7.0, 8.0, [1, 2], [NodeLoad("n", 1, 2, 3, 4, 5.0, [1])], ["overload"])
OF_PARENT = [
    Begin(1, 2, 0.5, True, SOURCES, SOURCES, [EVENT]), Happened(EVENT), Others(None, has_room=True),
    Others(3, has_room=False), Loads([LOAD]), Hint("n"), Ask(1, "/status"), Reload(SOURCES), Reload(None), Leave(),
]  # fmt: skip
OF_WORKER = [
    Beat(1, True, "", 2), Serving("1.0"), Told(1.5, "info", "what", "s", "n"), Changed("n"),
    Page(1, 200, "text/plain", b"body"), Doing(LOAD), Reloaded("a fault"),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 3, 1 << 16])
@pytest.mark.parametrize(("sent", "form"), [(OF_PARENT, FromParent), (OF_WORKER, FromWorker)])
def test_each_message_arrives_as_it_was_sent(sent, form, size):
    data = b"".join(map(encode, sent))
    splitter = Splitter()
    found = []
    for start in range(0, len(data), size):
        found += [msgspec.msgpack.decode(body, type=form) for body in splitter.split(data[start : start + size])]
    assert found == sent


def test_what_is_longer_than_a_message_may_be_is_neither_taken_nor_sent():
    with pytest.raises(MalformedError, match="longer"):
        Splitter().split((MAX_MESSAGE_BYTES + 1).to_bytes(LENGTH_BYTES, "big"))
    with pytest.raises(ValueError, match="a Page of"):
        encode(Page(1, 200, "text/plain", bytes(MAX_MESSAGE_BYTES)))
