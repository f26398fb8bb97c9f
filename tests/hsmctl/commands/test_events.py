"""What happened, as proxies tell it."""

import datetime
import json
import signal
import subprocess
import sys

import pytest
from fake_cluster import FakeCluster
from reports import event, report

from hsm_wire.messages import EventsResult
from hsm_wire.statuses import Status
from hsmctl.commands.events import Since


def told(*numbers: int) -> list[tuple[Status, object]]:
    """Return a look's two answers."""
    return [(Status.OK, report()), (Status.OK, EventsResult("p", 9, [event(number) for number in numbers]))]


def test_events_are_lines_in_plain_words(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.script.extend(told(1, 2))
    assert fake_shell.good("events").decode().splitlines() == [
        "04:12:01  ▲ zrh-1 left the rotation",
        "04:12:02  ▲ zrh-1 left the rotation",
    ]


def test_a_real_cluster_tells_how_it_came_up(shell) -> None:
    told = shell.json("events")["events"]
    assert {event["node"] for event in told} >= {"node-1", "node-2"}
    assert shell.good("events").decode().count("\n") >= len(told)  # more may have happened since


def test_as_json_they_are_one_document(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.script.extend(told(1))
    assert [found["number"] for found in fake_shell.json("events")["events"]] == [1]


def test_only_those_since_a_moment_are_shown_and_none_is_said(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.script.extend(told(1, 2))
    since = ["--since", "2026-11-30T04:12:02Z"]
    assert len(fake_shell.good("events", *since).splitlines()) == 1
    fake_cluster.proxy.script.extend(told(1, 2))
    done = fake_shell("events", "--since", "2027-01-01")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "no events since 2027-01-01 00:00:00 UTC\n"


def test_the_limit_is_asked_for_and_without_it_more_since_a_moment(fake_shell) -> None:
    # The fake proxy says how many it was asked for.
    for arguments, asked in ([], 50), (["--limit", "7"], 7), (["--since", "1970-01-02"], 500):
        shown = fake_shell("events", *arguments, "--json").stdout
        assert f"one of {asked}" in shown or (arguments[:1] == ["--since"] and json.loads(shown) == {"events": []})


@pytest.mark.parametrize("value", ["nonsense", "5x", "2026-13-01"])
def test_a_moment_that_is_none_is_wrong_usage(fake_shell, value: str) -> None:
    fake_shell.bad(2, "events", "--since", value)


def test_since_takes_a_length_of_time_or_a_moment() -> None:
    now = datetime.datetime.now(datetime.UTC)
    ago = now - Since().convert("10m", None, None)
    assert datetime.timedelta(minutes=9, seconds=30) < ago < datetime.timedelta(minutes=10, seconds=30)
    assert Since().convert("2026-11-30T04:12Z", None, None) == datetime.datetime(
        2026, 11, 30, 4, 12, tzinfo=datetime.UTC
    )


def test_a_cluster_that_cannot_be_reached_is_3(fake_shell) -> None:
    assert "can be reached" in fake_shell.bad(3, "events", "--proxy", "127.0.0.1:1")


def test_followed_as_json_each_event_is_a_line_as_it_comes(fake_shell, fake_cluster: FakeCluster) -> None:
    command = [sys.executable, "-m", "hsmctl.cli", "events", "--follow", "--json", "--config", str(fake_shell.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # The fake proxy has one more event at each question.
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [line["number"] for line in lines] == [1, 2]
        fake_cluster.call(fake_cluster.proxy.stop())
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_following_says_that_a_proxy_went_and_that_it_is_back(fake_shell, fake_cluster: FakeCluster) -> None:
    command = [sys.executable, "-m", "hsmctl.cli", "events", "--follow", "--config", str(fake_shell.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        fake_cluster.call(fake_cluster.proxy.stop())
        assert b"still trying" in process.stderr.readline()
        fake_cluster.call(fake_cluster.proxy.start())
        assert b"answers again" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
