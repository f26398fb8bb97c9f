"""The committed corpora are replayed without atheris; a negative control shows that each target can fail."""

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hsm_node.core.refusal import Refusal
from hsm_node.net.link import Link
from hsm_node.service.request import Request
from hsm_wire import kinds
from hsm_wire.connection import Connection
from hsm_wire.frames import Frame, encode_frame, readdress_response
from hsm_wire.messages import Hello, Welcome
from hsm_wire.states import State
from proxy.core.parties import Link as ProxyLink
from proxy.core.parties import Request as ProxyRequest
from proxy.core.requests.dispatcher import Dispatcher
from proxy.net.client_protocol import ClientProtocol

HERE = Path(__file__).parent
MAX_FILES = 60
SIGN = 0x0201
MAX_FILE_BYTES = 4096


sys.path.insert(0, str(HERE))  # the helpers beside this file
import run  # noqa: E402 - found by the line above

TARGETS = {name: run.load(name) for name in run.names()}


def corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((HERE / "corpus" / name).iterdir())]


@pytest.mark.parametrize("name", TARGETS)
def test_every_input_of_the_corpus_keeps_the_invariant(name: str) -> None:
    for data in corpus(name):
        TARGETS[name].one(data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_there_and_small(name: str) -> None:
    inputs = corpus(name)
    assert 10 <= len(inputs) <= MAX_FILES
    assert max(map(len, inputs)) <= MAX_FILE_BYTES


@pytest.mark.parametrize("name", TARGETS)
def test_an_input_meets_the_same_again(name: str) -> None:
    data = max(corpus(name), key=len)
    TARGETS[name].one(data)  # a form's decoder is made at its first use
    assert run.edges_of(TARGETS[name].one, data) == run.edges_of(TARGETS[name].one, data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_inputs_too_short_to_mean_anything(name: str) -> None:
    for data in (b"", b"\x00"):
        TARGETS[name].one(data)


class LosesBytes(Connection):
    """A connection whose frames depend on how the stream was cut."""

    __slots__ = ()

    def receive(self, data: bytes) -> list[Frame]:
        return super().receive(data if len(data) != 1 else b"")


class HoldsOn(Connection):
    """A connection that hands out a frame's bytes changed."""

    __slots__ = ()

    def receive(self, data: bytes) -> list[Frame]:
        frames = super().receive(data)
        for frame in frames:
            frame.raw = frame.raw[:-1] + b"?"
        return frames


@pytest.mark.parametrize("broken", [LosesBytes, HoldsOn])
def test_the_splitters_target_finds_a_connection_that_breaks_the_invariant(broken: type[Connection]) -> None:
    failures = 0
    for data in corpus("splitter"):
        try:
            TARGETS["splitter"].one(data, broken)
        except AssertionError:
            failures += 1
    assert failures


def test_the_bodies_corpus_has_a_good_body_of_each_form() -> None:
    bodies = TARGETS["bodies"]
    seen = set()

    def decode(form: type[msgspec.Struct], data: bytes) -> msgspec.Struct:
        body: msgspec.Struct = bodies.decode_body(form, data)
        seen.add(form)
        return body

    for data in corpus("bodies"):
        bodies.one(data, decode)
    assert not [form.__name__ for form in bodies.FORMS if form not in seen]


def test_the_bodies_target_finds_an_undocumented_error() -> None:
    def decode(form: type[msgspec.Struct], data: bytes) -> msgspec.Struct:
        return msgspec.msgpack.decode(data, type=form)

    with pytest.raises((msgspec.DecodeError, RecursionError)):
        for data in corpus("bodies"):
            TARGETS["bodies"].one(data, decode)


def test_the_bodies_target_finds_a_body_that_does_not_read_back() -> None:
    calls = iter(range(1, 1_000_000))

    def decode(form: type[msgspec.Struct], data: bytes) -> msgspec.Struct:
        unbind = TARGETS["bodies"].messages.Unbind
        return unbind(next(calls))  # type: ignore[no-any-return]  # a struct, made through the loaded module

    with pytest.raises(AssertionError, match="another body"):
        TARGETS["bodies"].one(corpus("bodies")[0], decode)


def failures(name: str, *broken: Any) -> int:
    """Count the inputs of the corpus that a broken variant does not survive."""
    count = 0
    for data in corpus(name):
        try:
            TARGETS[name].one(data, *broken)
        except Exception:  # noqa: BLE001 - whatever the fuzzer would have seen
            count += 1
    return count


def test_the_greetings_target_finds_a_welcome_above_the_wishes() -> None:
    def agree(hello: Hello, max_frame_bytes: int, max_in_flight: int, name: str, configuration_hash: str) -> Welcome:
        return Welcome(1, max_frame_bytes, max_in_flight, name, configuration_hash)

    assert failures("greeting", agree)


class Forgives(Connection):
    """A connection that reads on after a fault."""

    __slots__ = ()

    def receive(self, data: bytes) -> list[Frame]:
        frames = super().receive(data)
        if self.fault is not None:
            self.state = State.OPEN
        return frames


@pytest.mark.parametrize("broken", [LosesBytes, Forgives])
def test_the_machines_target_finds_a_broken_end(broken: type[Connection]) -> None:
    assert failures("machine", broken)


def test_the_records_target_finds_a_store_that_is_believed() -> None:
    def unchecked(row: bytes, kind: Any) -> Any:
        body = msgspec.msgpack.decode(row)[1]
        return msgspec.msgpack.decode(body, type=kind.record)

    assert failures("records", unchecked)


def test_the_configurations_target_finds_an_error_of_another_kind() -> None:
    loaders = TARGETS["configuration"].LOADERS

    def undocumented(loader: Callable[[Path], object]) -> Callable[[Path], object]:
        def load(path: Path) -> object:
            tomllib.loads(path.read_text())
            return loader(path)

        return load

    broken = {name: (undocumented(loader), error) for name, (loader, error) in loaders.items()}
    assert failures("configuration", broken)


@pytest.mark.parametrize("text", ["", "two\nlines", "\x1b[2J"])
def test_the_configurations_target_finds_a_text_that_is_no_line(text: str) -> None:
    class Multiline(Exception):  # noqa: N818 - only here
        pass

    def load(path: Path) -> object:
        raise Multiline(text)

    assert failures("configuration", {"cluster": (load, Multiline)}) == len(corpus("configuration"))


class AnswersTwice(Link):
    """A node's link that sends each result again."""

    def answer(self, request: Request, status: int, body: bytes) -> None:
        super().answer(request, status, body)
        self._send(encode_frame(kinds.RESPONSE, request_id=request.request_id))


class Swallows(Link):
    """A node's link that forgets to say what failed."""

    def refuse(self, request: Request, refusal: Refusal) -> None:
        self._requests.pop(request.request_id, None)


class Stumbles(Link):
    """A node's link with an exception that nobody takes."""

    def _cancel(self, frame: Frame) -> None:
        self._requests[frame.request_id].cancel()

    _ON_FRAME = {**Link._ON_FRAME, kinds.CANCEL: _cancel}  # noqa: RUF012 - as in its parent, which says ClassVar


class TakesAll(Link):
    """A node's link without a window."""

    def _request(self, frame: Frame, now: float) -> None:
        agreed, self._max_in_flight = self._max_in_flight, 1000
        super()._request(frame, now)
        self._max_in_flight = agreed


@pytest.mark.parametrize("broken", [AnswersTwice, Swallows, Stumbles, TakesAll])
def test_the_node_links_target_finds_a_broken_link(broken: type[Link]) -> None:
    assert failures("node_link", broken)


class OneByOne(Dispatcher):
    """A dispatcher that takes each answer of a read by itself: what is broken in how it does is broken in all."""

    def responses(self, link: ProxyLink, frames: list[Frame], at: int, now: float) -> int:
        while at < len(frames) and frames[at].kind == kinds.RESPONSE and frames[at].request_id:
            self.response(link, frames[at], now)
            at += 1
        return at

    def response(self, link: ProxyLink, frame: Frame, now: float) -> None:
        super().responses(link, [frame], 0, now)


class AnswersAgain(OneByOne):
    """A dispatcher that hands out a node's answer without asking whose it is."""

    def response(self, link: ProxyLink, frame: Frame, now: float) -> None:
        entry = link.in_flight.get(frame.request_id)
        super().response(link, frame, now)
        if isinstance(entry, ProxyRequest):
            entry.client.sink(readdress_response(frame, entry.client_id))


class Loses(Dispatcher):
    """A dispatcher that forgets what is in flight on a link that is lost, and deadlines."""

    def link_lost(self, link: ProxyLink, *, node_lost: bool, abnormal: bool, now: float) -> None:
        link.in_flight.clear()

    def tick(self, now: float) -> None:
        """Nothing is ever due."""


class Believes(OneByOne):
    """A dispatcher that takes every answer of a node for one to a request."""

    def response(self, link: ProxyLink, frame: Frame, now: float) -> None:
        del link.in_flight[frame.request_id]
        super().response(link, frame, now)


class Exchanges(OneByOne):
    """A dispatcher that gives a client the answer of its request before."""

    before = b""

    def response(self, link: ProxyLink, frame: Frame, now: float) -> None:
        raw = frame.raw
        if frame.opcode == SIGN and frame.body.startswith(b"\x00echo"):
            frame.raw, self.before = raw[:32] + (self.before or raw)[32:], raw
        super().response(link, frame, now)


class NeverDone(ClientProtocol):
    """A client's connection that is not forgotten when it ends."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._intake.lost()


@pytest.mark.parametrize("broken", [AnswersAgain, Loses, Believes, Exchanges])
def test_the_proxys_target_finds_a_broken_dispatcher(broken: type[Dispatcher]) -> None:
    assert failures("proxy", ClientProtocol, broken)


def test_the_proxys_target_finds_a_connection_that_is_kept() -> None:
    assert failures("proxy", NeverDone)
