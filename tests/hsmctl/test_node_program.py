import sys

import pytest

from hsmctl.failures import CommandError
from hsmctl.node_program import run_to_report


def run(program: str, notes: list[str] | None = None) -> dict[str, object]:
    return run_to_report([sys.executable, "-c", program], (notes if notes is not None else []).append)


def test_its_report_is_returned_and_what_it_says_meanwhile_is_noted() -> None:
    notes: list[str] = []
    program = "import sys; print('half', file=sys.stderr); print('{\"records\": 3}'); print('all', file=sys.stderr)"
    assert run(program, notes) == {"records": 3}
    assert notes == ["half", "all"]


def test_its_failure_is_ours_with_its_line_and_code() -> None:
    with pytest.raises(CommandError, match=r"^it is in use; stop it$") as caught:
        run("import sys; print('error: it is in use; stop it', file=sys.stderr); sys.exit(2)")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit(9)", "it ended with 9"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("print('no document')", "gave no report"),
    ],
)
def test_an_end_without_a_word_is_a_failure(program: str, said: str) -> None:
    with pytest.raises(CommandError, match=said) as caught:
        run(program)
    assert caught.value.exit_code == 1
