from pathlib import Path

import pytest

from hsm_node.core.drills import DrillRecord, DrillResult, Fault, FaultReason
from hsm_node.state.drill_file import DrillFile

RESULT = DrillResult(
    at=1.5, seconds=2.0, whole=True, commanded=False, kinds=("ec-p256: sign",), faults=(Fault(FaultReason.LAG, "late"),)
)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    file = DrillFile(tmp_path / "new")
    assert file.read() == DrillRecord()
    file.write(DrillRecord(RESULT, 1.0, 0.5))
    assert DrillFile(tmp_path / "new").read() == DrillRecord(RESULT, 1.0, 0.5)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"unknown": 1}'])
def test_a_damaged_file_counts_as_none_and_is_told(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "drill.json").write_bytes(content)
    assert DrillFile(tmp_path).read() == DrillRecord()
    assert "the last drill's result cannot be read" in caplog.text


def test_one_that_cannot_be_read_counts_as_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "drill.json").mkdir()
    assert DrillFile(tmp_path).read() == DrillRecord()
    assert "cannot be read" in caplog.text
