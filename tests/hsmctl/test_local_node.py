"""A node over its local socket: answers, refusals, and everything that may be there instead of a node."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner
from local_peer import WELCOME, LocalPeer

from hsm_client.errors import BadData
from hsm_wire import kinds
from hsm_wire.administration import Report, Unseal
from hsm_wire.connection import encode_failure
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.messages import Empty, Unconfirmed, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsmctl.failures import FAILED, UNREACHABLE, CommandError
from hsmctl.local_node import local_node, socket_option


def done(lines: list[str], request_id: int = 1, status: int = 0) -> bytes:
    body = encode_body(Report(True, lines))
    return encode_frame(kinds.RESPONSE, body, request_id=request_id, opcode=Opcode.UNSEAL, status=status)


class Peer(LocalPeer):
    """Answers each frame by the next of its answers; b"" closes."""

    def __init__(self, path: Path) -> None:
        self.answers: list[bytes] = []
        self.frames: list[Frame] = []
        super().__init__(path)

    def talk(self, connection: socket.socket) -> None:
        splitter = FrameSplitter(1 << 20)
        for answer in self.answers:
            found: list[Frame] = []
            while not found:
                data = connection.recv(65_536)
                if not data:
                    return
                found = splitter.split(data)
            self.frames += found
            if not answer:
                return
            for byte in range(len(answer)):  # In pieces, as a stream may come.
                connection.send(answer[byte : byte + 1])
        connection.recv(1)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    made = Peer(tmp_path / "admin.sock")
    yield made
    made.close()


def ask(peer: Peer) -> Report:
    with local_node(peer.path) as node:
        assert node.name == "redoubt-node/0 node-1"
        return node.request(Opcode.UNSEAL, Unseal(b"words"), Report)


def test_a_request_has_its_answer(peer: Peer) -> None:
    peer.answers = [WELCOME, done(["unsealed"])]
    assert ask(peer).lines == ["unsealed"]
    assert [frame.kind for frame in peer.frames] == [kinds.HELLO, kinds.REQUEST]
    assert peer.frames[1].principal == 0
    assert peer.frames[1].operation_id


def test_a_refusal_is_the_librarys_error(peer: Peer) -> None:
    peer.answers = [WELCOME, encode_failure(1, Status.BAD_DATA, "no share", opcode=Opcode.UNSEAL)]
    with pytest.raises(BadData, match="no share"):
        ask(peer)


def test_what_is_done_and_not_everywhere_yet_is_a_result_and_one_warning(
    peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    body = encode_body(Unconfirmed(["alps"], msgspec.Raw(encode_body(Report(True, ["made"])))))
    pending = [
        encode_frame(kinds.RESPONSE, body, request_id=number, opcode=Opcode.UNSEAL, status=Status.OK_DR_PENDING)
        for number in (1, 2)
    ]
    peer.answers = [WELCOME, *pending]
    with local_node(peer.path) as node:
        reports = [node.request(Opcode.UNSEAL, Unseal(b"words"), Report) for _ in pending]
    assert [report.lines for report in reports] == [["made"]] * 2
    assert [record.getMessage() for record in caplog.records] == ["done, but not yet at the DR site alps"]


def test_a_refused_greeting_is_said(peer: Peer) -> None:
    peer.answers = [encode_failure(0, Status.DENIED, "run this as root")]
    with pytest.raises(Exception, match="run this as root"):
        ask(peer)


@pytest.mark.parametrize(
    "answers",
    [
        [b""],
        [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
        [encode_frame(kinds.WELCOME, b"\xc1")],
        [WELCOME, b""],
        [WELCOME, done(["x"], request_id=2)],
        [WELCOME, done(["x"], request_id=2, status=Status.OK_DR_PENDING)],
        [WELCOME, encode_frame(kinds.RESPONSE, b"\xc1", request_id=1)],
        [WELCOME, encode_frame(kinds.GOAWAY, encode_body(Empty()))],
    ],
    ids=[
        "closes",
        "another protocol",
        "greets wrongly",
        "dies",
        "another request",
        "another request's warning",
        "no body",
        "leaves",
    ],
)
def test_a_node_that_is_lost_or_none_is_one_line_and_3(peer: Peer, answers: list[bytes]) -> None:
    peer.answers = answers
    with pytest.raises(CommandError, match="the node is lost") as lost:
        ask(peer)
    assert lost.value.exit_code == UNREACHABLE


def nothing(path: Path) -> None:
    """Leave nothing there."""


def left_over(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))


@pytest.mark.parametrize("make", [nothing, left_over, Path.touch])
def test_where_no_node_listens_it_says_what_to_do(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "admin.sock")
    with pytest.raises(CommandError, match="--socket") as refused, local_node(tmp_path / "admin.sock"):
        pass
    assert refused.value.exit_code == UNREACHABLE


def test_somebody_elses_socket_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(CommandError, match="run this as root") as refused, local_node(tmp_path / "admin.sock"):
        pass
    assert refused.value.exit_code == FAILED


def test_a_path_longer_than_an_address_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("x" * 150)
    folder.mkdir()
    monkeypatch.chdir(folder)
    peer = Peer(Path("admin.sock"))
    peer.path = folder / "admin.sock"
    peer.answers = [WELCOME, done(["unsealed"])]
    assert ask(peer).ok
    peer.close()


@click.command()
@socket_option
def shown(path: Path) -> None:
    click.echo(path)


def test_the_socket_is_what_was_named_else_a_running_dev_clusters_else_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSM_CLIENT_CONFIG", str(tmp_path / "client.toml"))
    monkeypatch.delenv("HSM_NODE_SOCKET", raising=False)

    def path(*arguments: str) -> str:
        return CliRunner().invoke(shown, arguments).stdout.strip()

    for name in ("node-2", "node-1"):
        (tmp_path / "state" / name).mkdir(parents=True)
        (tmp_path / "state" / name / "admin.sock").touch()
    assert path() == "/var/lib/redoubt/admin.sock"  # It is no `hsmctl dev`, or none that runs.
    (tmp_path / "dev.json").touch()
    assert path() == str(tmp_path / "state/node-1/admin.sock")
    assert path("--socket", "other") == "other"
    monkeypatch.setenv("HSM_NODE_SOCKET", "named")
    assert path() == "named"
    monkeypatch.delenv("HSM_NODE_SOCKET")
    shutil.rmtree(tmp_path / "state")
    assert path() == "/var/lib/redoubt/admin.sock"
    monkeypatch.delenv("HSM_CLIENT_CONFIG")
    assert path() == "/var/lib/redoubt/admin.sock"
