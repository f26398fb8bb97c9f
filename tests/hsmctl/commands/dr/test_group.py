"""hsmctl dr."""

from click.testing import CliRunner

from hsmctl.cli import main


def test_it_lists_its_commands() -> None:
    shown = CliRunner().invoke(main, ["dr", "--help"])
    assert shown.exit_code == 0
    assert "promote" in shown.stdout
