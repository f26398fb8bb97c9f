"""Usage is written beside the event loop, once a second at most."""

import logging
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from hsm_cluster.usage import PERIOD_S, PERIODS, Row, Usage
from hsm_node.state.usage_file import FILE_NAME, UsageFile, UsageFileError
from hsm_node.state.usage_recorder import FLUSH_INTERVAL_S, UsageRecorder, open_usage

NOW = 6_000_000 * PERIOD_S


class Counts:
    """Counts one signature each time."""

    def __init__(self) -> None:
        self.usage = Usage("n", NOW)
        self.signed = 0

    def fold(self) -> None:
        if self.signed:
            self.usage.count(1, self.signed, 0)
        self.signed = 0


class FakeFile(UsageFile):
    """Keeps what it is given, or fails."""

    def __init__(self) -> None:
        self.written: list[list[Row]] = []
        self.oldest = 0
        self.error: Exception | None = None

    def write(self, rows: Iterable[Row], oldest: int) -> None:
        if self.error is not None:
            raise self.error
        self.written.append(list(rows))
        self.oldest = oldest

    def close(self) -> None:
        pass


def ended(recorder: UsageRecorder) -> None:
    """Wait for the thread."""
    while recorder._write.busy:
        time.sleep(0.001)


def test_what_is_new_is_written_once_a_second_and_at_the_end() -> None:
    file, counts = FakeFile(), Counts()
    recorder = UsageRecorder(file, counts)
    recorder.sweep(10.0)
    assert file.written == []
    counts.signed = 3
    recorder.sweep(10.0 + FLUSH_INTERVAL_S / 2)
    recorder.sweep(10.0 + FLUSH_INTERVAL_S)
    ended(recorder)
    assert file.written == [[Row("n", 1, 6_000_000, 3, 0)]]
    assert file.oldest == 6_000_000 - PERIODS
    counts.signed = 4
    recorder.close()
    assert file.written[1:] == [[Row("n", 1, 6_000_000, 7, 0)]]


def test_what_could_not_be_written_is_written_with_what_follows(caplog: pytest.LogCaptureFixture) -> None:
    file, counts = FakeFile(), Counts()
    recorder = UsageRecorder(file, counts)
    file.error = UsageFileError("the disk is full")
    with caplog.at_level(logging.INFO):
        for second in range(3):
            counts.signed = 1
            recorder.sweep(10.0 + second)
            ended(recorder)
        recorder.sweep(12.1)
        assert recorder.failures == 3
        file.error = None
        recorder.sweep(13.1)
        ended(recorder)
        recorder.sweep(13.2)
    assert file.written == [[Row("n", 1, 6_000_000, 3, 0)]]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    recorder.close()


def test_a_fault_of_the_program_is_not_taken_for_one_of_the_disk() -> None:
    file, counts = FakeFile(), Counts()
    recorder = UsageRecorder(file, counts)
    file.error = ZeroDivisionError()
    counts.signed = 1
    recorder.sweep(10.0)
    ended(recorder)
    with pytest.raises(ZeroDivisionError):
        recorder.sweep(11.0)
    file.error = None
    recorder.close()


def test_what_is_kept_is_counted_in_and_a_damaged_file_is_no_reason_not_to_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counts = Counts()
    recorder = open_usage(tmp_path, counts)
    counts.signed = 5
    recorder.close()
    counts = Counts()
    open_usage(tmp_path, counts).close()
    assert counts.usage.signatures(1) == 5
    (tmp_path / FILE_NAME).write_bytes(b"rubbish" * 999)
    counts = Counts()
    with caplog.at_level(logging.WARNING):
        open_usage(tmp_path, counts).close()
    assert counts.usage.signatures(1) == 0
    assert len(caplog.records) == 1
