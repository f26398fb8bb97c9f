"""The daemon as a process that starts sealed, or with a systemd credential: what it says to whom."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from shamir_mnemonic import generate_mnemonics

from hsm_wire.administration import Report, Unseal
from hsm_wire.opcodes import Opcode
from hsmctl.local_node import local_node

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "hsm_node.cli", "--config"]
KEY = bytes(range(32))
DEADLINE_S = 20.0


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd hears."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(DEADLINE_S)
        yield heard


def with_source(folder: Path, source: str) -> Path:
    file = folder / "node.toml"
    file.write_text(file.read_text().replace('{ file = "master.key" }', source))
    return file


def start(file: Path, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, file], cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def stop(process: "subprocess.Popen[str]") -> str:
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=DEADLINE_S)[1]
    assert process.returncode == 0, rest
    return str(rest)


def test_a_sealed_node_is_ready_for_systemd_which_is_told_what_it_waits_for(
    node_folder: Path, systemd: socket.socket
) -> None:
    process = start(with_source(node_folder, "{ shares = {} }"), NOTIFY_SOCKET=str(systemd.getsockname()))
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert "event=sealed" in line
        told = systemd.recv(1000).decode()
        assert told.startswith("READY=1\nSTATUS=node-1 is sealed: it waits for shares of the master key")
        admin = line.split("admin=")[1].split()[0]
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://{admin}/readyz", timeout=10)
        assert not (node_folder / "store.db").exists()
        shares = generate_mnemonics(1, [(2, 3)], KEY, iteration_exponent=0)[0]
        for share in shares[1:]:
            with local_node(node_folder / "state" / "node-1" / "admin.sock") as node:
                report = node.request(Opcode.UNSEAL, Unseal(share.encode()), Report)
        assert report.lines == ["node-1 is unsealed"]
        assert systemd.recv(1000).decode().startswith("READY=1\nSTATUS=node-1 serves on 127.0.0.1:")
        assert urllib.request.urlopen(f"http://{admin}/readyz", timeout=10).status == 200
        assert (node_folder / "store.db").exists()
    finally:
        said = stop(process)
    assert "event=ready" in said
    assert not (node_folder / "state" / "node-1" / "admin.sock").exists()


def test_a_sealed_node_that_gets_no_shares_stops_in_order(node_folder: Path) -> None:
    process = start(with_source(node_folder, "{ shares = {} }"))
    assert process.stderr is not None
    assert "event=sealed" in process.stderr.readline()
    stop(process)
    assert not (node_folder / "store.db").exists()


def test_a_credential_of_systemd_opens_the_store(node_folder: Path) -> None:
    process = start(with_source(node_folder, '{ credential = "master.key" }'), CREDENTIALS_DIRECTORY=str(node_folder))
    assert process.stderr is not None
    assert "event=ready" in process.stderr.readline()
    stop(process)


@pytest.mark.parametrize(
    ("source", "code"), [("{ shares = {} }", 0), ('{ credential = "master.key" }', 0), ('{ credential = "none" }', 2)]
)
def test_check_looks_at_what_is_there_and_shows_no_key(node_folder: Path, source: str, code: int) -> None:
    file = with_source(node_folder, source)
    done = subprocess.run(
        [*COMMAND, file, "--check"], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S,
        env={**os.environ, "CREDENTIALS_DIRECTORY": str(node_folder)},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert KEY.hex() not in done.stdout + done.stderr
    assert not (node_folder / "state").exists()
