"""The links of the soak and of the full-length tests where no namespaces are: dropped, and restored as they were."""

import socket
import sys
import threading
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "system"))

from networks import RelayLinks


def echo_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        while data := connection.recv(64):
            connection.sendall(data)


def test_a_dropped_link_passes_nothing_and_a_restored_one_everything_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo_once, args=(server,), daemon=True).start()
        host, port = server.getsockname()[:2]
        links = RelayLinks(tmp_path, f"{host}:{port}", paths=1)
        try:
            relay_host, _, relay_port = links.addresses[0].rpartition(":")
            with socket.create_connection((relay_host, int(relay_port)), timeout=5) as client:
                client.sendall(b"before")
                assert client.recv(64) == b"before"
                links.drop(0)
                client.settimeout(0.2)
                client.sendall(b"during")
                with pytest.raises(TimeoutError):
                    client.recv(64)
            links.restore(0)
            threading.Thread(target=echo_once, args=(server,), daemon=True).start()
            with socket.create_connection((relay_host, int(relay_port)), timeout=5) as client:
                client.sendall(b"after")
                assert client.recv(64) == b"after"
        finally:
            links.close()
