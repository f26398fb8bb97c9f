"""The committed corpora are replayed without atheris; a negative control shows that each target can fail."""

import importlib.util
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from hsm_wire.connection import Connection
from hsm_wire.frames import Frame

HERE = Path(__file__).parent
MAX_FILES = 80
MAX_FILE_BYTES = 4096


def target(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", HERE / f"fuzz_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TARGETS = {name: target(name) for name in ("splitter", "bodies")}


def corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((HERE / "corpus" / name).iterdir())]


@pytest.mark.parametrize("name", TARGETS)
def test_every_input_of_the_corpus_keeps_the_invariant(name: str) -> None:
    for data in corpus(name):
        TARGETS[name].run_one(data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_there_and_small(name: str) -> None:
    inputs = corpus(name)
    assert 10 <= len(inputs) <= MAX_FILES
    assert max(map(len, inputs)) <= MAX_FILE_BYTES


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_inputs_too_short_to_mean_anything(name: str) -> None:
    for data in (b"", b"\x00"):
        TARGETS[name].run_one(data)


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
            TARGETS["splitter"].run_one(data, broken)
        except AssertionError:
            failures += 1
    assert failures


def test_the_bodies_target_finds_an_undocumented_error() -> None:
    def decode(form: type[msgspec.Struct], data: bytes) -> msgspec.Struct:
        return msgspec.msgpack.decode(data, type=form)

    with pytest.raises((msgspec.DecodeError, RecursionError)):
        for data in corpus("bodies"):
            TARGETS["bodies"].run_one(data, decode)


def test_the_bodies_target_finds_a_body_that_does_not_read_back() -> None:
    calls = iter(range(1, 1_000_000))

    def decode(form: type[msgspec.Struct], data: bytes) -> msgspec.Struct:
        unbind = TARGETS["bodies"].messages.Unbind
        return unbind(next(calls))  # type: ignore[no-any-return]  # a struct, made through the loaded module

    with pytest.raises(AssertionError, match="another body"):
        TARGETS["bodies"].run_one(corpus("bodies")[0], decode)
