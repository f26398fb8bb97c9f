from typing import cast

import pytest

from hsm_node.core.backups import BackupReading
from hsm_node.core.refusal import Refusal
from hsm_node.service import backup_readings
from hsm_node.service.backup_readings import Counts, Opened, Readings
from hsm_wire.backup_messages import BackupCount, BackupItem
from hsm_wire.backup_messages import BackupReading as Answer
from hsm_wire.messages import decode_body
from hsm_wire.statuses import Status


def opened() -> Opened:
    return Opened(cast("BackupReading", None))


def test_records_are_counted_and_those_of_which_more_is_said_are_named() -> None:
    counts = Counts()
    counts.note("made", b"a", 1, "")
    counts.note("made", b"b", 1, "")
    counts.note("damaged", b"c", 2, "why")
    answer = decode_body(Answer, counts.answer(3, whole=True, unknown=["x"]))
    assert answer == Answer(
        3, True, [BackupCount("damaged", 1), BackupCount("made", 2)], [BackupItem(b"c", 2, "damaged", "why")], ["x"]
    )


def test_a_reading_takes_one_part_at_a_time_and_tells_of_that_alone() -> None:
    readings: Readings[Opened] = Readings()
    one = opened()
    one.counts.note("made", b"a", 1, "why")
    number = readings.begin(one)
    with readings.next(number) as found:
        assert found is one
        assert found.counts.items == []
        assert found.counts.by_outcome == {"made": 1}
        with pytest.raises(Refusal, match="begin anew"), readings.next(number):
            pass
    with readings.next(number):
        pass
    readings.end(number)
    with pytest.raises(Refusal, match="begin anew"), readings.next(number):
        pass
    readings.end(number)


def test_there_are_only_so_many_and_those_that_nobody_reads_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    readings: Readings[Opened] = Readings()
    numbers = [readings.begin(opened()) for _ in range(backup_readings.MAX_READINGS)]
    assert len(set(numbers)) == len(numbers)
    with pytest.raises(Refusal) as refused:
        readings.begin(opened())
    assert refused.value.status is Status.OVERLOADED
    readings.sweep()
    monkeypatch.setattr("hsm_node.service.backup_readings.IDLE_S", -1.0)
    with readings.next(numbers[0]):
        readings.sweep()
    with readings.next(numbers[0]):
        pass
    with pytest.raises(Refusal, match="given up"), readings.next(numbers[1]):
        pass
