"""Usage: every command has help with an example; every error is one line and an exit code."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hsmctl.cli import main


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*path, "--help"])
    assert done.exit_code == 0
    assert "Example:" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["sign"],
        ["random", "0"],
        ["dev", "--nodes", "9"],
        ["dev", "--store", "oracle"],
        ["key", "generate", "--type", "aes-256", "--destruction-wait", "7"],
        ["key", "encapsulate", "kem"],
        ["object", "create", "--kind", "secret", "--in", "-"],
        ["status", "--config", "/nonexistent/client.toml"],
        ["csr", "--key", "k", "--subject", "nonsense"],
        ["completion", "tcsh"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_on_standard_error_and_2(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("hsmctl: ")
    assert done.stderr.count("\n") == 1


def test_a_cluster_that_cannot_be_reached_is_3(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        (tmp_path / "client.toml").write_text(f'proxies = ["127.0.0.1:{free.getsockname()[1]}"]\ntls = "off"\n')
        done = CliRunner().invoke(main, ["status", "--timeout", "0.3", "--config", str(tmp_path / "client.toml")])
    assert done.exit_code == 3
    assert "hsmctl doctor" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_line_on_standard_error_steers_no_terminal() -> None:
    done = CliRunner().invoke(main, ["completion", "a\x1b[2J\nb"])
    assert done.exit_code == 2
    assert "\x1b" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_output_that_cannot_be_written_is_said() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hsmctl.cli", "completion", "bash"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr.decode().startswith("hsmctl: cannot write to standard output: No space left on device; ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert "_HSMCTL_COMPLETE" in done.output


def test_a_line_about_usage_is_two_sentences() -> None:
    said = CliRunner().invoke(main, ["status", "now"], prog_name="hsmctl").stderr
    assert said == "hsmctl: Got unexpected extra argument (now). See `hsmctl status --help`.\n"
    assert "Did you mean 'status'? See" in CliRunner().invoke(main, ["statsu"]).stderr
