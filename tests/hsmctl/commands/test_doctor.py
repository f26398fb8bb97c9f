"""doctor as a user has it."""

from pathlib import Path


def test_a_cluster_that_is_well_is_exit_code_0_also_on_its_host(shell) -> None:
    text = shell.good("doctor", "--config-dir", shell.config.parent).decode()
    assert text.endswith("\nNothing found.\n"), text
    assert [line.split()[:2] for line in text.splitlines() if line.startswith("✓")][-1] == ["✓", "ports"]


def test_findings_are_exit_code_1_with_what_to_do(shell) -> None:
    done = shell("doctor", "--proxy", "127.0.0.1:1")
    assert (done.exit_code, done.stderr) == (1, "")
    assert "-> start hsm-proxy on 127.0.0.1" in done.stdout
    assert done.stdout.endswith("Found 1 error; mend them from top to bottom.\n")


def test_the_json_is_one_document(shell) -> None:
    document = shell.json("doctor")
    assert (document["healthy"], document["findings"]) == (True, [])
    assert {check["result"] for check in document["checks"]} == {"good"}


def test_a_place_that_is_not_there_is_wrong_usage(fake_shell, tmp_path: Path) -> None:
    fake_shell.bad(2, "doctor", "--config-dir", tmp_path / "none")
