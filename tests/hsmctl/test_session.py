"""How commands find the cluster, and what they say when they cannot."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hsm_client import cluster
from hsm_client.connection import GRACE_S
from hsm_wire import kinds
from hsm_wire.frames import encode_frame
from hsm_wire.messages import Welcome, encode_body
from hsmctl.cli import main
from hsmctl.session import Session, cluster_options

COMMANDS = [
    ["status"],
    ["selftest"],
    ["random", "8"],
    ["bench", "--key", "k", "--mechanism", "eddsa"],
    ["csr", "--key", "k", "--subject", "CN=x"],
    ["cert", "self-signed", "--key", "k", "--subject", "CN=x"],
    ["cert", "ca", "--key", "k", "--subject", "CN=x"],
    ["sign", "--key", "k", "--mechanism", "eddsa", "--in", "-"],
    ["verify", "--key", "k", "--mechanism", "eddsa", "--in", "-", "--signature", __file__],
    ["encrypt", "--key", "k", "--in", "-"],
    ["decrypt", "--key", "k", "--in", __file__],
    ["key", "generate", "--type", "ed25519"],
    ["key", "import", "--in", "-", "--type", "aes-256"],
    ["key", "list"],
    ["key", "show", "k"],
    ["key", "public", "k"],
    ["key", "enable", "k"],
    ["key", "disable", "k"],
    ["key", "destroy", "k", "--yes"],
]


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens, and that nobody else gets."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def config(nobody: str, tmp_path: Path) -> Path:
    path = tmp_path / "client.toml"
    path.write_text(f'proxies = ["{nobody}"]\ntls = "off"\n')
    return path


def session_of(*arguments: str) -> Session:
    """Return what a command is given for this command line."""
    seen: list[Session] = []

    @click.group()
    @click.option("--config")
    @click.option("--proxy")
    @click.option("--timeout", type=float)
    @click.option("--json", "as_json", is_flag=True)
    def above(**_options: object) -> None:
        """Stand for hsmctl."""

    @above.command()
    @cluster_options
    def below(session: Session) -> None:
        seen.append(session)

    done = CliRunner().invoke(above, list(arguments))
    assert done.exit_code == 0, done.output
    return seen[0]


def test_options_hold_before_and_after_the_command_and_the_nearer_one_wins() -> None:
    session = session_of("--config", "far", "--proxy", "a:1", "--json", "below", "--config", "near")
    assert (session.config, session.proxies, session.out.as_json) == ("near", ["a:1"], True)
    assert session.timeout_s is None
    session = session_of("below", "--proxy", "a:1,b:2", "--json", "--timeout", "3")
    assert (session.proxies, session.out.as_json, session.timeout_s) == (["a:1", "b:2"], True, 3.0)


def test_a_timeout_holds_before_and_after_the_command_and_the_nearer_one_wins() -> None:
    assert session_of("--timeout", "0.5", "below").timeout_s == 0.5
    assert session_of("--timeout", "0.5", "below", "--timeout", "7").timeout_s == 7


def test_without_options_the_environment_decides() -> None:
    session = session_of("below")
    assert (session.config, session.proxies, session.out.as_json) == (None, None, False)


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments[:2]))
def test_every_command_says_that_the_cluster_cannot_be_reached(
    config: Path, arguments: list[str], more: list[str]
) -> None:
    options = ["--config", str(config), "--timeout", "0.2", *more]
    done = CliRunner(env={"HSM_PROXY": None}).invoke(main, [*arguments, *options], input=b"x" * 32)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "check that the cluster runs" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("proxy", ["", "nonsense:port", "a:1,,b:2"])
def test_a_wrong_address_is_wrong_configuration(config: Path, proxy: str) -> None:
    done = CliRunner(env={"HSM_PROXY": None}).invoke(
        main, ["status", "--config", str(config), "--timeout", "0.2", "--proxy", proxy]
    )
    # An empty one is as good as none: then the file's proxies hold.
    assert done.exit_code == (2 if proxy else 3)
    assert done.stderr.count("\n") == 1


LATE_S = 0.9


@pytest.fixture
def late() -> Iterator[str]:
    """The address of a proxy that greets who connects late, and then answers nothing."""

    def greet(listening: socket.socket) -> None:
        held = []
        with contextlib.suppress(OSError):  # the end of the test
            while True:
                taken, _ = listening.accept()
                held.append(taken)
                time.sleep(LATE_S)
                taken.sendall(encode_frame(kinds.WELCOME, encode_body(Welcome(1, 1 << 20, 64, "late"))))
        for each in held:
            each.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=greet, args=[listening])
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def took_s(arguments: list[str], config: Path) -> float:
    """Return how long a command took to say that the cluster cannot be reached."""
    began = time.monotonic()
    done = CliRunner(env={"HSM_PROXY": None}).invoke(main, [*arguments, "--config", str(config)])
    assert (done.exit_code, done.stdout) == (3, ""), done.output
    return time.monotonic() - began


def test_a_timeout_bounds_connecting_and_asking_together(late: str, tmp_path: Path) -> None:
    config = tmp_path / "client.toml"
    config.write_text(f'proxies = ["{late}"]\ntls = "off"\n')
    began = time.monotonic()
    done = CliRunner(env={"HSM_PROXY": None}).invoke(main, ["random", "8", "--config", str(config), "--timeout", "1"])
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert "the request's time ran out" in done.stderr
    # A proxy that says nothing at all is given up GRACE_S later than its own TIMEOUT would have to come.
    assert 1.0 <= time.monotonic() - began < 1.0 + GRACE_S + LATE_S / 2


def test_a_timeout_longer_than_the_usual_time_to_connect_goes_on_trying_until_then(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.05)
    assert took_s(["random", "8", "--timeout", "1"], config) >= 1.0


def test_without_a_timeout_a_cluster_that_cannot_be_reached_is_said_so_after_the_usual_time_to_connect(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.05)
    assert took_s(["random", "8"], config) < cluster.DEFAULT_TIMEOUT_S / 2
