"""Scripts for shells, and what they ask the program."""

import json
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from hsmctl.cli import main


def script_of(shell: str) -> str:
    done = CliRunner().invoke(main, ["completion", shell])
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_our_program(shell: str) -> None:
    assert f"_HSMCTL_COMPLETE={shell}_complete" in script_of(shell)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_takes_the_script(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        # Only bash is everywhere that the tests run; the other two get what click writes for them.
        assert shell != "bash"
        return
    done = subprocess.run([program, "-n"], input=script_of(shell), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_commands() -> None:
    asked = {"_HSMCTL_COMPLETE": "bash_complete", "COMP_WORDS": "hsmctl key d", "COMP_CWORD": "2"}
    done = CliRunner(env=asked).invoke(main, prog_name="hsmctl")
    assert set(done.stdout.split()) == {f"plain,{name}" for name in ("decapsulate", "derive", "destroy", "disable")}


@pytest.mark.parametrize("arguments", [["completion", "fish", "--json"], ["--json", "completion", "fish"]])
def test_with_json_the_script_is_in_the_json(arguments: list[str]) -> None:
    document = json.loads(CliRunner().invoke(main, arguments).stdout)
    assert document["shell"] == "fish"
    assert document["script"] + "\n" == script_of("fish")
