"""The ledger is written beside the event loop."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.core.ledger import Ledger, Snapshot
from hsm_node.state.recorder import FLUSH_INTERVAL_S, RETRY_INTERVAL_S, Recorder, open_recorder
from hsm_node.state.seen_file import FILE_NAME, DisplacedError, SeenFile, SeenFileError

NAME = b"n" * 32


class FakeFile(SeenFile):
    """Keeps what it is given, or fails."""

    def __init__(self) -> None:
        self.written: list[Snapshot] = []
        self.error: Exception | None = None
        self.go_on = Event()
        self.go_on.set()
        self.closed = False

    def write(self, snapshot: Snapshot) -> None:
        assert self.go_on.wait(10)
        if self.error is not None:
            raise self.error
        self.written.append(snapshot)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def file() -> FakeFile:
    return FakeFile()


@pytest.fixture
def recorder(file: FakeFile, keyring: Keyring) -> Iterator[Recorder]:
    made = Recorder(file, Ledger(keyring.ledger_mac, b"c" * 16))
    yield made
    file.error = None
    made.close()


def ended(recorder: Recorder) -> None:
    """Wait for the thread."""
    while recorder._write.busy:
        time.sleep(0.001)


def test_it_writes_once_in_half_a_second_what_was_seen_until_then(recorder: Recorder, file: FakeFile) -> None:
    recorder.sweep(100.0)
    assert not file.written
    for order in (1, 2, 3):
        recorder.ledger.see(NAME, order, b"")
        recorder.sweep(100.0)
    ended(recorder)
    recorder.sweep(100.0 + FLUSH_INTERVAL_S / 2)
    assert len(file.written) == 1
    recorder.sweep(100.0 + FLUSH_INTERVAL_S)
    ended(recorder)
    assert len(file.written) == 2
    assert (file.written[0].whole, file.written[1].whole) == (True, False)


def test_a_slow_disk_holds_nobody_up(recorder: Recorder, file: FakeFile) -> None:
    file.go_on.clear()
    recorder.ledger.see(NAME, 1, b"")
    for second in range(10):
        recorder.sweep(100.0 + second)
        recorder.ledger.see(NAME, second + 2, b"")
    file.go_on.set()
    ended(recorder)
    assert len(file.written) == 1


def test_a_failure_is_counted_said_once_and_made_up_for(
    recorder: Recorder, file: FakeFile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file.error = SeenFileError("disk full")
    now = 100.0
    recorder.ledger.see(NAME, 1, b"")
    for _ in range(3):
        recorder.sweep(now)
        ended(recorder)
        recorder.sweep(now)
        assert not recorder._write.begun
        now += RETRY_INTERVAL_S
    assert recorder.failures == 3
    file.error = None
    recorder.sweep(now)
    ended(recorder)
    recorder.sweep(now)
    assert file.written[-1].whole
    assert [record.message for record in caplog.records] == [
        "what was seen of the store cannot be written",
        "what was seen of the store is written again",
    ]


def test_who_was_succeeded_stops(recorder: Recorder, file: FakeFile, caplog: pytest.LogCaptureFixture) -> None:
    file.error = DisplacedError("another process keeps it now")
    recorder.ledger.see(NAME, 1, b"")
    recorder.sweep(100.0)
    ended(recorder)
    recorder.ledger.see(NAME, 2, b"")
    recorder.sweep(200.0)
    assert (recorder._write.begun, recorder.failures) == (False, 0)
    assert "kept by another process" in caplog.text


def test_the_end_writes_the_rest_and_a_part_that_failed_whole(file: FakeFile, keyring: Keyring) -> None:
    recorder = Recorder(file, Ledger(keyring.ledger_mac, b"c" * 16))
    recorder.ledger.see(NAME, 1, b"")
    recorder.close()
    assert ([snapshot.whole for snapshot in file.written], file.closed) == ([True], True)


def test_an_error_of_this_program_is_not_swallowed(recorder: Recorder, file: FakeFile) -> None:
    file.error = ValueError("a mistake")
    recorder.ledger.see(NAME, 1, b"")
    recorder.sweep(100.0)
    ended(recorder)
    with pytest.raises(ValueError, match="a mistake"):
        recorder.sweep(100.0)


def test_what_was_kept_is_there_after_a_restart_and_its_loss_is_said(
    tmp_path: Path, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    make: Callable[[], Ledger] = lambda: Ledger(keyring.ledger_mac, b"c" * 16)  # noqa: E731 - once
    first = open_recorder(tmp_path, make(), first_start=True)
    first.ledger.see(NAME, 1, b"")
    first.close()
    second = open_recorder(tmp_path, make(), first_start=False)
    assert second.ledger.digest == first.ledger.digest
    second.close()
    assert not caplog.records
    (tmp_path / FILE_NAME).unlink()
    open_recorder(tmp_path, make(), first_start=False).close()
    assert "what this node had seen of the store is gone" in caplog.text
