"""What the tests wait by."""

import time
from pathlib import Path

import pytest
from patience import Patience


def pressure(path: Path, total_us: int) -> Path:
    path.write_text(f"some avg10=1.00 avg60=1.00 avg300=1.00 total={total_us}\nfull avg10=0.00 total={9 * total_us}\n")
    return path


@pytest.mark.parametrize(("starved_s", "over_after_s"), [(0.0, 20.0), (10.0, 29.0), (60.0, 74.0), (1e6, 200.0)])
def test_time_in_which_processes_wait_for_a_processor_counts_a_tenth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starved_s: float, over_after_s: float
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    path = pressure(tmp_path / "cpu", 5_000_000)
    patience = Patience(20.0, path)
    pressure(path, 5_000_000 + int(1e6 * starved_s))
    now = 1000.0 + over_after_s - 0.1
    assert not patience.is_over
    now = 1000.0 + over_after_s + 0.1
    assert patience.is_over


def test_without_the_kernel_s_word_the_clock_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    patience = Patience(20.0, tmp_path / "none")
    now = 20.1
    assert patience.is_over
