"""bench as a user has it: figures, errors, exit codes."""

import json
import os
import signal

import pytest
from fake_cluster import FakeCluster

from hsm_wire import messages as m
from hsm_wire.statuses import Status
from hsmctl.commands import bench

LOAD = ["bench", "--key", "p256", "--mechanism", "ecdsa-sha256"]


def test_the_json_is_that_of_the_contract(shell) -> None:
    document = shell.json(*LOAD, "--clients", "4", "--in-flight", "2", "--requests", "50")
    assert set(document) == {"requests", "errors", "throughput", "latency_ms"}
    assert (document["requests"], document["errors"]) == (50, {})
    assert set(document["latency_ms"]) == {"p50", "p90", "p99", "p99_9", "max"}
    assert 0 < document["latency_ms"]["p50"] <= document["latency_ms"]["max"]


@pytest.mark.parametrize(
    ("label", "mechanism"), [("rsa", "rsa-oaep"), ("aes", "aes-gcm"), ("ed", "eddsa"), ("mac", "hmac-sha256")]
)
def test_every_kind_of_key_can_be_measured(shell, label: str, mechanism: str) -> None:
    text = shell.good("bench", "--key", label, "--mechanism", mechanism, "--requests", "20").decode()
    assert "requests    20" in text
    assert "errors      none" in text


def test_a_rate_decides_how_many_are_started(shell) -> None:
    assert shell.json(*LOAD, "--rate", "100", "--seconds", "0.3")["requests"] == 30


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_any_error_is_exit_code_1_and_a_line_with_statuses_and_counts(shell, more: list[str]) -> None:
    done = shell("bench", "--key", "aes", "--mechanism", "ecdsa-sha256", "--requests", "7", *more)
    assert done.exit_code == 1
    assert done.stderr.startswith("hsmctl: 7 of 7 requests failed (7 KEY_TYPE); ")
    assert done.stderr.count("\n") == 1
    if more:
        assert json.loads(done.stdout)["errors"] == {"KEY_TYPE": 7}


def test_without_retry_what_the_library_would_send_again_is_an_error(fake_shell, fake_cluster: FakeCluster) -> None:
    key_id = fake_shell.good("key", "generate", "--type", "ec-p256").decode().strip()
    load = ["bench", "--key", key_id, "--mechanism", "ecdsa-sha256", "--clients", "1", "--requests", "3", "--json"]
    # The first answer is that to the look for the key.
    found = (Status.OK, next(iter(fake_cluster.proxy.keystore.infos.values())))
    fake_cluster.proxy.script.extend([found, Status.UNAVAILABLE])
    assert json.loads(fake_shell.good(*load))["errors"] == {}
    fake_cluster.proxy.script.extend([found, Status.UNAVAILABLE])
    done = fake_shell(*load, "--no-retry")
    assert (done.exit_code, json.loads(done.stdout)["errors"]) == (1, {"UNAVAILABLE": 1})


def test_ctrl_c_ends_it_early_with_the_figures_so_far(
    fake_shell, fake_cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id = fake_shell.good("key", "generate", "--type", "ec-p256").decode().strip()
    keystore = fake_cluster.proxy.keystore
    sign, seen = keystore.sign, 0

    def sign_and_interrupt(body: m.Sign) -> m.SignResult:
        nonlocal seen
        seen += 1
        if seen == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return sign(body)

    monkeypatch.setattr(keystore, "sign", sign_and_interrupt)
    options = ["--key", key_id, "--mechanism", "ecdsa-sha256", "--clients", "1", "--seconds", "600"]
    document = fake_shell.json("bench", *options)
    assert 5 <= document["requests"] == seen
    assert document["errors"] == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--clients", "0"],
        ["--in-flight", "257"],
        ["--seconds", "0"],
        ["--rate", "0"],
        ["--size", str(bench.MAX_SIZE_BYTES + 1)],
        ["--mechanism", "ecdsa"],
    ],
    ids=" ".join,
)
def test_numbers_out_of_range_are_wrong_usage(shell, arguments: list[str]) -> None:
    shell.bad(2, *LOAD, *arguments)


def test_a_key_that_is_not_there_is_said_before_anything_is_measured(shell) -> None:
    assert "hsmctl key list" in shell.bad(1, "bench", "--key", "none", "--mechanism", "eddsa")
