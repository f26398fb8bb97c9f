"""Random bytes from the command line."""

from pathlib import Path

import pytest


def test_digits_for_people_bytes_for_a_file_json_for_programs(shell, tmp_path: Path) -> None:
    assert len(bytes.fromhex(shell.good("random", "8").decode())) == 8
    assert len(shell.good("random", "8", "--out", "-")) == 8
    assert shell.good("random", "65536", "--out", tmp_path / "r") == b""
    assert (tmp_path / "r").stat().st_size == 65536
    assert shell.json("random", "8", "--out", tmp_path / "r") == {"length": 8, "out": str(tmp_path / "r")}
    assert (tmp_path / "r").stat().st_size == 8
    assert len(shell.json("random", "8")["data"]) == 16


def test_with_json_no_raw_bytes_mix_with_it(shell) -> None:
    assert len(shell.json("random", "8", "--out", "-")["data"]) == 16


@pytest.mark.parametrize("length", ["0", "65537", "many", "-5", "1.5"])
def test_a_length_out_of_range_is_wrong_usage(shell, length: str) -> None:
    assert f"'{length}' is no number of bytes from 1 to 65536" in shell.bad(2, "random", length)


def test_an_option_that_there_is_not_is_no_length(shell) -> None:
    assert "No such option '--hex'" in shell.bad(2, "random", "--hex", "8")


def test_a_file_that_cannot_be_written_is_one_line(shell, tmp_path: Path) -> None:
    assert "cannot write" in shell.bad(2, "random", "8", "--out", tmp_path / "none" / "r")
