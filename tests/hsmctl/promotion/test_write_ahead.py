"""What a member had written to its log counts, also where it had not noted that yet."""

from pathlib import Path
from typing import Final

import pytest

from hsmctl.promotion import write_ahead
from hsmctl.promotion.write_ahead import count_all

ZEROS: Final = bytes(4096)


class Log:
    """A log as etcd writes it, built by the same few rules."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "0000000000000001-0000000000000007.wal"
        self._sum = 0
        self.content = b""
        self.add(4, b"")

    def add(self, kind: int, data: bytes) -> None:
        """Append a record."""
        self._sum = write_ahead._crc(data, self._sum)
        record = bytes([8, kind, 16]) + write_ahead._varint(self._sum)
        record += b"\x1a" + write_ahead._varint(len(data)) + data if data else b""
        padding = -len(record) % 8
        head = len(record) | ((0x80 | padding) << 56 if padding else 0)
        self.content += head.to_bytes(8, "little") + record + bytes(padding)

    def entry(self, index: int) -> None:
        self.add(2, bytes([0x10, 3, 0x18, index, 0x22, 5]) + b"value")

    def state(self, commit: int) -> None:
        self.add(3, bytes([0x08, 3, 0x10, 1, 0x18, commit]))

    def write(self, rest: bytes = ZEROS) -> None:
        self.file.write_bytes(self.content + rest)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    made = Log(tmp_path)
    made.state(6)
    return made


def test_the_sum_is_the_one_that_everybody_has() -> None:
    assert write_ahead._crc(b"123456789", 0) == 0xE3069283


def test_entries_that_were_not_noted_as_acknowledged_count_then(log: Log) -> None:
    log.entry(7)
    log.entry(8)
    log.write()
    assert count_all(log.file.parent)
    log.state(8)
    assert log.file.read_bytes() == log.content
    assert not count_all(log.file.parent), "a second time there is nothing to do"


def test_a_log_that_has_them_all_stays_as_it_is(log: Log) -> None:
    log.entry(7)
    log.state(7)
    log.write()
    assert not count_all(log.file.parent)
    assert log.file.read_bytes() == log.content + ZEROS


def test_a_file_without_entries_goes_by_its_name(log: Log) -> None:
    log.write()
    assert not count_all(log.file.parent)


def test_an_entry_that_was_cut_off_in_writing_is_left_out(log: Log) -> None:
    log.entry(7)
    whole = log.content
    log.add(2, bytes([0x10, 3, 0x18, 8, 0x22, 0x80, 0x10]) + b"v" * 2048)
    log.file.write_bytes(log.content[: len(whole) + 600] + ZEROS)
    assert count_all(log.file.parent)
    assert log.file.read_bytes()[: len(whole)] == whole
    assert len(log.file.read_bytes()) < len(whole) + 64


def test_an_entry_that_is_empty_in_part_is_whole(log: Log) -> None:
    log.add(2, bytes([0x10, 3, 0x18, 7, 0x22, 0x80, 0x10]) + bytes(2048))
    log.entry(8)
    log.write()
    assert count_all(log.file.parent)
    log.state(8)
    assert log.file.read_bytes() == log.content


def test_what_nobody_knows_is_left_to_etcd(log: Log, tmp_path: Path) -> None:
    log.entry(7)
    for damaged in (
        log.content[:-20] + bytes([log.content[-20] ^ 1]) + log.content[-19:],
        log.content + (16).to_bytes(8, "little") + b"\xff" * 16,
        log.content + (1 << 20).to_bytes(8, "little"),
        log.content + (4).to_bytes(8, "little") + bytes([8, 9, 16, 1]),
    ):
        log.file.write_bytes(damaged + ZEROS)
        assert not count_all(tmp_path)
        assert log.file.read_bytes() == damaged + ZEROS
    log.file.unlink()
    assert not count_all(tmp_path)
