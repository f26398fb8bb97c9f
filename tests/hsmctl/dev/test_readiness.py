"""Questions to admin servers, also to strangers on their ports."""

import http.server
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from hsmctl.dev import readiness

Serve = Callable[[dict[str, tuple[int, bytes]]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve these answers by path; return the address."""
    servers: list[tuple[http.server.HTTPServer, threading.Thread]] = []

    def start(answers: dict[str, tuple[int, bytes]]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = answers[self.path]
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_answer_is_its_code_and_body(serve: Serve) -> None:
    assert readiness.get(serve({"/readyz": (503, b"no node\n")}), "/readyz") == (503, b"no node\n")


def test_an_endless_answer_is_cut(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "MAX_ANSWER_BYTES", 4)
    assert readiness.get(serve({"/": (200, b"123456")}), "/") == (200, b"1234")


def test_nobody_there_is_no_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        admin = f"127.0.0.1:{free.getsockname()[1]}"
        assert readiness.get(admin, "/readyz") == (0, b"")
        assert readiness.status(admin) == {}
        assert not readiness.node_ready(admin)
        assert not readiness.proxy_ready(admin, 0)


def test_one_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "QUESTION_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert readiness.get(f"127.0.0.1:{silent.getsockname()[1]}", "/readyz") == (0, b"")


def test_one_that_does_not_speak_http_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example ready\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        assert readiness.get(f"127.0.0.1:{server.getsockname()[1]}", "/readyz") == (0, b"")
        thread.join()


@pytest.mark.parametrize("answer", [(404, b'{"state": "up"}'), (200, b"<html>"), (200, b"[1]"), (200, b"\xff")])
def test_what_is_not_a_status_is_empty(serve: Serve, answer: tuple[int, bytes]) -> None:
    assert readiness.status(serve({"/status": answer})) == {}


@pytest.mark.parametrize(("state", "ready"), [("up", True), ("starting", False), ("draining", False)])
def test_a_node_is_ready_when_it_is_up(serve: Serve, state: str, ready: bool) -> None:
    assert readiness.node_ready(serve({"/status": (200, b'{"state": "%s"}' % state.encode())})) is ready


DRAINED = b'[{"state": "up", "administrative_state": "drain"}, {"state": "up", "administrative_state": "drain"}]'


@pytest.mark.parametrize(
    ("readyz", "nodes", "ready"),
    [
        (200, b'[{"state": "up"}, {"state": "up"}]', True),
        (200, b'[{"state": "up"}, {"state": "down"}]', False),
        (503, b'[{"state": "up"}, {"state": "up"}]', False),
        (200, b'["up", "up"]', False),
        (200, b"2", False),
        (
            503,
            DRAINED,
            True,
        ),
        (
            503,
            DRAINED.replace(b"drain", b"ready", 1),
            False,
        ),
    ],
)
def test_a_proxy_is_ready_when_it_has_all_nodes(serve: Serve, readyz: int, nodes: bytes, ready: bool) -> None:
    admin = serve({"/readyz": (readyz, b""), "/status": (200, b'{"nodes": %s}' % nodes)})
    assert readiness.proxy_ready(admin, 2) is ready


def test_a_node_that_stands_by_is_as_ready_as_it_will_be(serve: Serve) -> None:
    assert readiness.node_ready(serve({"/status": (200, b'{"state": "standby"}')}))
    assert readiness.node_ready(serve({"/status": (200, b'{"state": "fenced"}')}))
    assert not readiness.node_ready(serve({"/status": (200, b'{"state": "stale"}')}))


def test_nodes_that_serve_are_counted(serve: Serve) -> None:
    states = [serve({"/status": (200, b'{"state": "%s"}' % state)}) for state in (b"up", b"fenced", b"up")]
    assert readiness.up(states) == 2


def test_a_member_of_the_store_is_ready_when_it_says_that_it_is_healthy(serve: Serve) -> None:
    assert readiness.store_ready(serve({"/health": (200, b'{"health":"true"}')}))
    assert not readiness.store_ready(serve({"/health": (503, b'{"health":"false"}')}))
