"""`hsmctl top` on a real terminal."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import FakeCluster
from program_on_terminal import ProgramOnTerminal
from reports import report

ALTERNATE, BACK = "\x1b[?1049h", "\x1b[?1049l"
SHOW_CURSOR = "\x1b[?25h"


@pytest.fixture
def top(fake_cluster: FakeCluster, tmp_path: Path) -> Iterator[ProgramOnTerminal]:
    """A `top` that shows a cluster that serves."""
    keystore: Any = fake_cluster.proxy.keystore
    keystore.status = lambda body: report()
    config = tmp_path / "client.toml"
    config.write_text(f'proxies = ["{fake_cluster.proxy.address}"]\ntls = "off"\n')
    with ProgramOnTerminal(["top", "--interval", "0.5", "--config", str(config)], 100, 30) as running:
        running.wait_for("SERVING")
        yield running


def left_as_it_was(top: ProgramOnTerminal) -> bool:
    """Whether the terminal shows again what it showed before, with its cursor and its settings."""
    end = top.output.rpartition(ALTERNATE)[2]
    return BACK in end and SHOW_CURSOR in end and top.settings() == top.settings_before


def test_it_shows_the_cluster_follows_keys_and_the_size_and_leaves_the_terminal_as_it_was(
    top: ProgramOnTerminal,
) -> None:
    assert ALTERNATE in top.output
    top.wait_for_lines(30)
    top.press("\t")
    top.wait_for("REASON")
    top.press("1ss")
    top.wait_for("sorted by req/s")
    top.press("h")
    top.wait_for("any key goes back")
    top.press(" ")
    top.resize(60, 12)
    top.process.send_signal(signal.SIGWINCH)
    top.wait_for("…")
    top.wait_for_lines(12)
    assert max(map(len, top.screen)) <= 60
    top.press("q")
    assert top.wait() == 0
    assert left_as_it_was(top)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(top: ProgramOnTerminal, number: signal.Signals) -> None:
    top.process.send_signal(number)
    assert top.wait() == 0
    assert left_as_it_was(top)


def test_it_gives_the_terminal_back_while_it_is_stopped(top: ProgramOnTerminal) -> None:
    top.process.send_signal(signal.SIGTSTP)
    _, status = os.waitpid(top.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    top.wait_for_output(BACK)
    assert left_as_it_was(top)
    top.output = ""
    top.process.send_signal(signal.SIGCONT)
    top.wait_for_output(ALTERNATE)
    top.wait_for("SERVING")
    top.press("q")
    assert top.wait() == 0
    assert left_as_it_was(top)


def test_a_cluster_that_falls_silent_is_shown_as_down_and_looked_for(
    top: ProgramOnTerminal, fake_cluster: FakeCluster
) -> None:
    fake_cluster.call(fake_cluster.proxy.stop())
    top.wait_for("✗ DOWN")
    fake_cluster.call(fake_cluster.proxy.start())
    top.wait_for("● SERVING")
    fake_cluster.call(fake_cluster.proxy.stop())
    top.wait_for("✗ DOWN")
    top.press("q")
    assert top.wait() == 3
    assert left_as_it_was(top)
