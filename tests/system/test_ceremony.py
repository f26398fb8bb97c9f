"""The ceremony, as people do it: `hsm-node init`, `join` and `record` with real tokens."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from softhsm import MASTER_KEY_LABEL, MODULE, PIN, WRAP_MECHANISM, SoftHsm

from hsm_node.backends.pkcs11.ceremony_token import check_value
from hsmctl.shares import split

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CLUSTER = """
[cluster]
name = "dev"
package = "sandbox"
[[sites]]
name = "local"
risk_zone = "local"
latitude = 0
longitude = 0
uplinks = ["lo"]
[[nodes]]
name = "node-1"
site = "local"
paths = [{ uplink = "lo", address = "127.0.0.1:1" }]
[[nodes]]
name = "node-2"
site = "local"
paths = [{ uplink = "lo", address = "127.0.0.1:2" }]
[[partitions]]
id = 1
name = "dev"
clients = []
"""
NODE = """
cluster = "cluster.toml"
name = "node-{number}"
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
tls = "off"
state_dir = "state-{number}"
[store]
path = "store.db"
[keystore]
master_key = {{ device = "{label}" }}
[backend]
kind = "pkcs11"
module = "{module}"
token_label = "n{number}"
wrap_mechanism = {wrap_mechanism}
pin = {{ file = "pin" }}
"""
THERE = ["--record", "ceremony.jsonl", "--operator", "ada", "--operator", "grace"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command of node N, whose token is `nN`."""
    tokens = SoftHsm(tmp_path / "softhsm")
    (tmp_path / "pin").touch(mode=0o600)
    (tmp_path / "pin").write_text(PIN)
    (tmp_path / "cluster.toml").write_text(CLUSTER)
    fields = {"label": MASTER_KEY_LABEL, "module": MODULE, "wrap_mechanism": WRAP_MECHANISM}
    for number in (1, 2):
        tokens.make_token(f"n{number}")
        (tmp_path / f"n{number}.toml").write_text(NODE.format(number=number, **fields))

    def call(number: int, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hsm_node.cli", "--config", f"n{number}.toml", *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **tokens.environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


def said(done: "subprocess.CompletedProcess[str]", pattern: str) -> str:
    assert done.returncode == 0, done.stderr
    found = re.search(pattern, done.stdout)
    assert found is not None, done.stdout
    return found[1]


def refused(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 2, done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_master_key_is_made_in_one_token_and_comes_into_another_and_the_record_shows_who_was_there(
    run: Run, tmp_path: Path
) -> None:
    shown = said(run(2, "join", *THERE, "--request", "n2.request"), r"transport key ([0-9a-f ]{39})\n")
    asks = ["init", *THERE, "--for", "n2.request", "--out-dir", "out"]
    assert "bring it again" in refused_after_question(run(1, *asks, stdin="n\n"))
    made = run(1, *asks, stdin="y\n")
    assert shown in made.stdout
    value = said(made, r"check value ([0-9a-f-]{19})\n")
    assert "already" in refused(run(1, *asks, "--yes"))
    answer = tmp_path / "out" / "node-2.answer"
    fields = json.loads(answer.read_text())
    wrong = tmp_path / "wrong.answer"
    for change, text in (
        ({"check_value": "0000-0000-0000-0000"}, "nothing was kept"),
        ({"kek": fields["mac"][::-1]}, "changed on its way|not wrapped for this token"),
        ({"label": "other"}, "is for node-2 and label 'other'"),
    ):
        wrong.write_text(json.dumps({**fields, **change}))
        assert re.search(text, refused(run(2, "join", *THERE, "--answer", "wrong.answer")))
    assert said(run(2, "join", *THERE, "--answer", str(answer)), r"check value (\S+)\n") == value
    assert "already" in refused(run(2, "join", *THERE, "--answer", str(answer)))
    record = run(1, "record", "ceremony.jsonl")
    assert record.stdout.count("\n") == 4, record.stdout
    assert record.stdout.count(value) == 3
    assert "there: ada, grace" in record.stdout
    lines = (tmp_path / "ceremony.jsonl").read_text().splitlines(keepends=True)
    for damage, text in (
        ([lines[0].replace("ada", "eve"), *lines[1:]], "line 1 was changed"),
        ([lines[0], *lines[2:]], "line 2 does not follow"),
    ):
        (tmp_path / "damaged.jsonl").write_text("".join(damage))
        assert text in refused(run(1, "record", "damaged.jsonl"))


def refused_after_question(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 2
    return done.stderr


def test_a_master_key_comes_from_shares_and_only_the_right_one_stays(run: Run) -> None:
    key = bytes(range(32))
    shares = split(key, 2, 3)
    typed = f"no share\n{shares[0]}\n{shares[2]}\n"
    wrong = run(1, "join", *THERE, "--shares", "--check-value", "0000-0000-0000-0000", stdin=typed)
    assert wrong.returncode == 2
    assert "nothing was kept" in wrong.stderr
    done = run(1, "join", *THERE, "--shares", "--check-value", check_value(key), stdin=typed)
    assert said(done, r"check value (\S+)\n") == check_value(key)
