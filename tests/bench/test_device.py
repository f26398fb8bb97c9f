"""The benchmark of a token: what is reported, and the C program that signs by itself."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.device import NODE, Program, Sample, row, table
from bench.native import CompileError, device_load

sys.path.append(str(Path(__file__).parents[1] / "live"))

from softhsm import MODULE, PIN, SoftHsm

SAMPLES = [
    Sample(1000.0, 800.0, 10.0, 20.0, {"device": 700.0, "node": 800.0, "proxy": 100.0, "load": 100.0}),
    Sample(500.0, 450.0, 12.0, 30.0, {"device": 710.0, "node": 900.0, "proxy": 120.0, "load": 100.0}),
    Sample(1000.0, 700.0, 11.0, 25.0, {"device": 690.0, "node": 850.0, "proxy": 90.0, "load": 100.0}),
]


def test_the_ratio_is_of_turns_that_lay_side_by_side_and_processor_time_stands_beside_it() -> None:
    found = row("rsa-2048", SAMPLES)
    assert (found["device_per_s"], found["path_per_s"], found["ratio"]) == (1000.0, 700.0, 0.8)
    assert found["cpu_us"] == {"device": 700.0, "node": 850.0, "proxy": 100.0, "load": 100.0}
    assert found["cpu_ratio"] == round(700 / 1050, 3)
    assert (found["p50_ms"], found["p99_ms"], found["rounds"]) == (11.0, 25.0, 3)
    assert "rsa-2048       1000      700   0.80" in table([found])


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    made = SoftHsm(tmp_path / "softhsm")
    made.make_token(NODE)
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    return made


@pytest.fixture(scope="session")
def program() -> str:
    try:
        return str(device_load())
    except CompileError as error:
        if "there is no C compiler" in str(error):
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p256"])
def test_a_token_signs_by_itself_in_so_many_threads(
    start: Callable[..., "subprocess.Popen[str]"], tokens: SoftHsm, program: str, tmp_path: Path, key_type: str
) -> None:
    assert tokens.configuration.exists()
    loaded = Program(start(program, str(MODULE), NODE, key_type, "2"), tmp_path / "log", PIN + "\n")
    found = loaded.measure(0.2)
    assert found["signatures"] > 1
    assert found["throughput"] > 0
    assert loaded.measure(0.1)["signatures"] > 1


@pytest.mark.parametrize(
    ("words", "pin", "complaint"),
    [
        ((str(MODULE), "nobody", "ec-p256", "2"), PIN, "there is no token nobody"),
        ((str(MODULE), NODE, "ec-p999", "2"), PIN, "neither rsa-2048 nor ec-p256"),
        ((str(MODULE), NODE, "ec-p256", "0"), PIN, "0 is not a number"),
        ((str(MODULE), NODE, "ec-p256", "2"), "not the PIN", "C_Login returned 0xa0"),
        (("/nowhere.so", NODE, "ec-p256", "2"), PIN, "nowhere.so"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    tokens: SoftHsm, program: str, words: tuple[str, ...], pin: str, complaint: str
) -> None:
    assert tokens.configuration.exists()
    done = subprocess.run([program, *words], input=f"{pin}\n", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert pin not in done.stderr
