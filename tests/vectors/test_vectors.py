"""The vectors are fixed: they must decode to their fields, and the fields encode to them, also by another library."""

import json
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from hsm_wire import administration, backup_messages, kinds, messages, objects, parameters
from hsm_wire.connection import Connection
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.kinds import Kind
from hsm_wire.messages import decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsm_wire.states import End, State
from hsm_wire.statuses import Status, status_class


def load(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(Path(__file__).with_name(f"{name}.json").read_text(encoding="utf-8"))
    return rows


def form_of(name: str) -> type[msgspec.Struct]:
    for module in (messages, objects, administration, backup_messages, parameters):
        if hasattr(module, name):
            form: type[msgspec.Struct] = getattr(module, name)
            return form
    raise AssertionError(f"no form {name}")


def values(value: Any) -> Any:
    """Return JSON as MessagePack's values: {"bin": hex} as bytes."""
    if isinstance(value, dict):
        return bytes.fromhex(value["bin"])
    if isinstance(value, list):
        return [values(item) for item in value]
    return value


def one_frame(data: str) -> Frame:
    splitter = FrameSplitter(1 << 20)
    [frame] = splitter.split(bytes.fromhex(data))
    assert splitter.fault is None
    assert splitter.buffered == 0
    return frame


FRAMES = [*load("frames"), *load("operations"), *load("session")]


@pytest.mark.parametrize("row", FRAMES, ids=lambda row: row["name"])
def test_a_frame_decodes_to_its_fields(row: dict[str, Any]) -> None:
    frame = one_frame(row["hex"])
    assert {name: getattr(frame, name) for name in row["header"]} == row["header"]
    if row["form"] is None:
        assert frame.body == b""
    else:
        assert msgpack.unpackb(frame.body) == values(row["body"])
        assert encode_body(decode_body(form_of(row["form"]), frame.body)) == frame.body


@pytest.mark.parametrize("row", FRAMES, ids=lambda row: row["name"])
def test_fields_encode_to_the_frame(row: dict[str, Any]) -> None:
    header = dict(row["header"])
    body = b"" if row["form"] is None else msgpack.packb(values(row["body"]))
    assert encode_frame(header.pop("kind"), body, **header).hex() == row["hex"]


@pytest.mark.parametrize("row", load("parameters"), ids=lambda row: row["form"])
def test_parameters_read_both_ways(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["hex"])
    assert encode_body(decode_body(form_of(row["form"]), data)) == data
    assert msgpack.packb(values(row["body"])) == data


def test_every_kind_operation_and_form_of_parameters_has_a_vector() -> None:
    assert {row["header"]["kind"] for row in load("frames")} == set(map(int, Kind))
    pairs = {(row["header"]["opcode"], row["form"]) for row in load("operations")}
    assert pairs == {
        (number, form.__name__) for number, row in OPERATIONS.items() for form in (row.request, row.result)
    }
    assert {row["form"] for row in load("parameters")} == {
        form.__name__ for form in parameters.Parameters.__subclasses__()
    }


def test_a_failed_answer_has_a_failures_body_and_no_other() -> None:
    for row in FRAMES:
        if row["header"]["kind"] == kinds.RESPONSE:
            assert (status_class(row["header"]["status"]) != 0) == (row["form"] == "Failure")


def test_the_session_is_legal_at_both_ends() -> None:
    ends = {"client": Connection(End.CLIENT, binds=False), "server": Connection(End.SERVER, binds=False)}
    for step in load("session"):
        sender = ends[step["from"]]
        [receiver] = [end for end in ends.values() if end is not sender]
        sender.sent(step["header"]["kind"])
        assert len(receiver.receive(bytes.fromhex(step["hex"]))) == 1, receiver.fault
        assert sender.state is receiver.state
    assert ends["client"].state is State.CLIENT_LEAVING


def test_the_sessions_signature_is_true() -> None:
    session = load("session")
    [made] = [row for row in session if row["form"] == "KeyInfo"]
    [signed] = [row for row in session if row["form"] == "SignResult"]
    public = serialization.load_der_public_key(values(made["body"])[8])
    assert isinstance(public, ec.EllipticCurvePublicKey)
    signature = values(signed["body"])[0]
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    public.verify(utils.encode_dss_signature(r, s), b"sample", ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("row", load("faults"), ids=lambda row: row["name"])
def test_a_stream_that_breaks_the_rules_gets_the_answer(row: dict[str, Any]) -> None:
    server = Connection(End.SERVER, binds=False)
    if row["greeted"]:
        server.receive(bytes.fromhex(load("session")[0]["hex"]))
        server.sent(kinds.WELCOME)
    accepted = server.receive(bytes.fromhex(row["stream"]))
    assert len(accepted) == row["accepted"]
    answer = one_frame(server.answer_to_fault().hex())
    assert (answer.kind, answer.status, answer.request_id) == (kinds.RESPONSE, row["status"], row["request_id"])


def test_numbers_in_the_vectors_are_named() -> None:
    assert all(Opcode(row["header"]["opcode"]) for row in load("operations"))
    assert all(Status(row["status"]) for row in load("faults"))
