"""hsmctl unseal: shares are made, checked and given; the key and the words are shown to nobody who did not ask."""

import json
import os
import pty
import select
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hsm_wire.administration import Report, Unseal
from hsm_wire.shares import combine, read_share
from hsmctl.cli import main
from hsmctl.commands import unseal as command
from hsmctl.shares import split

KEY = bytes(range(32))
DEADLINE_S = 30.0


def run(*arguments: object, data: str = "") -> Result:
    return CliRunner().invoke(main, ["unseal", *map(str, arguments)], input=data)


def good(*arguments: object, data: str = "") -> str:
    done = run(*arguments, data=data)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def bad(code: int, *arguments: object, data: str = "") -> str:
    done = run(*arguments, data=data)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    return done.stderr


# ---- split


def test_a_new_key_is_printed_as_its_shares_one_a_line() -> None:
    done = run("split", "--threshold", 2, "--shares", 3)
    shares = [read_share(line) for line in done.stdout.splitlines()]
    assert len({combine(list(some)) for some in (shares[:2], shares[1:])}) == 1
    assert combine(shares[:2]).hex() not in done.output
    assert "any 2 of 3 shares make a new master key" in done.stderr


def test_a_files_key_is_written_as_files_that_only_their_owner_may_read(tmp_path: Path) -> None:
    file, folder = tmp_path / "master.key", tmp_path / "shares"
    file.write_text(KEY.hex())
    arguments = ("split", "--threshold", 2, "--shares", 2, "--master-key", file, "--out-dir", folder)
    before = os.umask(0)
    try:
        shown = good(*arguments).split()
    finally:
        os.umask(before)
    assert shown == [str(folder / "share-1-of-2.txt"), str(folder / "share-2-of-2.txt")]
    assert {stat.S_IMODE(Path(path).stat().st_mode) for path in shown} == {0o600}
    assert combine([read_share(Path(path).read_text()) for path in shown]) == KEY
    assert "exists" in bad(2, *arguments)


def test_the_key_of_one_set_is_split_into_another() -> None:
    old = split(KEY, 2, 3)
    done = run("split", "--threshold", 3, "--shares", 3, "--from-shares", data=f"{old[2]}\n\n{old[0]}\n")
    assert done.exit_code == 0, done.stderr
    assert combine([read_share(words) for words in done.stdout.splitlines()]) == KEY
    assert not set(done.stdout.splitlines()) & set(old)
    bad(1, "split", "--threshold", 2, "--shares", 3, "--from-shares", data="academic acid")
    assert "name one" in bad(2, "split", "--threshold", 2, "--shares", 3, "--from-shares", "--master-key", "x")


def test_in_json_there_is_the_set_and_the_shares(tmp_path: Path) -> None:
    made = json.loads(good("split", "--threshold", 2, "--shares", 2, "--json"))
    assert {read_share(words).set_name for words in made["shares"]} == {made["set"]}
    made = json.loads(good("split", "--threshold", 2, "--shares", 2, "--json", "--out-dir", tmp_path))
    assert made["files"] == [str(tmp_path / f"share-{number}-of-2.txt") for number in (1, 2)]
    assert "shares" not in made


@pytest.mark.parametrize(
    "arguments",
    [("--threshold", 1, "--shares", 3), ("--threshold", 2, "--shares", 17), ("--threshold", 3, "--shares", 2), ()],
)
def test_sets_that_protect_nothing_or_cannot_be_are_refused(arguments: tuple[object, ...]) -> None:
    bad(2, "split", *arguments)


def terminal(*arguments: str, prompt: bytes, typed: bytes) -> tuple[int, str]:
    """Run a command on a terminal, type that at each prompt, and return its exit code and all that was shown."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hsmctl.cli", "unseal", *arguments],
        stdin=follower, stdout=follower, stderr=follower, start_new_session=True, env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    answered = 0
    try:
        while select.select([leader], [], [], DEADLINE_S)[0]:
            try:
                shown += os.read(leader, 4096)
            except OSError:  # The other end is closed.
                break
            if shown.count(prompt) > answered:  # Not in what was read alone: a prompt may come in pieces.
                answered += 1
                os.write(leader, typed)
    finally:
        os.close(leader)  # Whoever still waits for the terminal is hung up on.
        process.wait(DEADLINE_S)
    return process.returncode, shown.decode()


def test_on_a_terminal_each_share_waits_until_it_was_written_down() -> None:
    code, shown = terminal("split", "--threshold", "2", "--shares", "2", prompt=b"Enter clears the screen", typed=b"\n")
    assert code == 0
    assert shown.count("Enter clears the screen") == 2
    assert shown.index("Share 1 of 2") < shown.index("Enter clears the screen") < shown.index("Share 2 of 2")


# ---- verify-share


def test_a_share_is_checked_by_itself(tmp_path: Path) -> None:
    words = split(KEY, 3, 5)[1]
    (tmp_path / "share").write_text(words + "\n")
    assert good("verify-share", "--in", tmp_path / "share").split()[-4:] == ["share", "2", "threshold", "3"]
    shown = json.loads(good("verify-share", "--json", data=words))
    assert shown == {"valid": True, "set": read_share(words).set_name, "share": 2, "threshold": 3}


@pytest.mark.parametrize(
    ("code", "data", "said"),
    [
        (1, "academic " * 33, "checksum"),
        (1, "academic acid", "33 words, this has 2"),
        (1, ("academic " * 32) + "sekrit", "number 33"),
        (2, " \n", "there is no share"),
        (2, "academic " * 200, "at most 1024 characters"),
    ],
)
def test_what_is_no_share_is_said_without_a_word_of_it(code: int, data: str, said: str) -> None:
    line = bad(code, "verify-share", data=data)
    assert said in line
    assert "academic" not in line
    assert "sekrit" not in line


def test_on_a_terminal_the_share_is_asked_for_and_not_shown() -> None:
    words = split(KEY, 2, 2)[0]
    code, shown = terminal("verify-share", prompt=b"not shown", typed=words.encode() + b"\n")
    assert code == 0
    assert "threshold  2" in shown
    assert words.split()[6] + " " + words.split()[7] not in shown


# ---- giving shares


class Node:
    """Stands for the local socket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: list[Path] = []
        self.given: list[bytes] = []
        self.report = Report(False, ["share 1 of set 0001 is taken", "node-1 is sealed; 1 more share is needed"])
        monkeypatch.setattr(command, "local_node", self.open)

    def open(self, path: Path) -> "Node":
        self.paths.append(path)
        return self

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *_error: object) -> None: ...

    def request(self, _opcode: int, body: Unseal, _form: Any) -> Report:
        self.given.append(body.share)
        return self.report


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(monkeypatch)


def test_a_share_from_standard_input_goes_to_the_node(node: Node) -> None:
    words = split(KEY, 2, 2)[0]
    assert good("--socket", "a/admin.sock", data=words + "\n").splitlines() == node.report.lines
    assert (node.paths, node.given) == ([Path("a/admin.sock")], [words.encode() + b"\n"])
    node.report = Report(True, ["node-1 is unsealed"])
    assert json.loads(good("--json", data=words)) == {"sealed": False, "lines": ["node-1 is unsealed"]}
    assert node.paths[1] == Path("/var/lib/redoubt/admin.sock")


def test_a_share_with_a_slip_does_not_even_leave_here(node: Node) -> None:
    assert "checksum" in bad(1, data="academic " * 33)
    assert node.paths == []


def test_forget_sends_no_share_and_takes_the_socket_before_or_after_its_name(node: Node) -> None:
    good("forget", "--socket", "a/admin.sock")
    good("--socket", "b/admin.sock", "forget", "--json")
    assert (node.given, node.paths) == ([b"", b""], [Path("a/admin.sock"), Path("b/admin.sock")])


def test_without_a_node_it_is_3(tmp_path: Path) -> None:
    assert "--socket" in bad(3, "--socket", tmp_path / "admin.sock", data=split(KEY, 2, 2)[0])
