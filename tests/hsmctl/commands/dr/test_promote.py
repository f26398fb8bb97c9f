"""hsmctl dr promote: whom it asks, and what it says."""

import json
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result

from hsmctl.cli import main
from hsmctl.commands.dr import naming
from hsmctl.commands.dr import promote as command
from hsmctl.promotion.promote import Promoted


class FakePromotion:
    """Notes what it was made with, and whether it ran."""

    made: ClassVar["list[FakePromotion]"] = []

    def __init__(self, host: Any, _note: Any, *, force: bool) -> None:
        self.host, self.force, self.ran = host, force, ""
        self.made.append(self)

    def look(self) -> str:
        return "dev"

    def run(self, cluster: str) -> Promoted:
        self.ran = cluster
        return Promoted(cluster, 2, self.force, "/old" if self.force else "", 1.5)


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakePromotion]:
    monkeypatch.setattr(FakePromotion, "made", [])
    monkeypatch.setattr(command, "Promotion", FakePromotion)
    monkeypatch.setattr(command, "host_of", lambda _session, folder: folder)
    return FakePromotion.made


def run(*arguments: object, typed: str = "") -> Result:
    return CliRunner().invoke(main, ["dr", "promote", *map(str, arguments)], input=typed)


def test_it_says_what_was_done(made: list[FakePromotion]) -> None:
    planned = run("--yes")
    assert (planned.exit_code, planned.stdout) == (0, "the DR site of dev serves, epoch 2 (1.5 s)\n")
    forced = run("--yes", "--force")
    assert "kept in /old" in forced.stdout
    assert [one.force for one in made] == [False, True]
    document = json.loads(run("--yes", "--force", "--json").stdout)
    assert document == {"cluster": "dev", "epoch": 2, "own_store": True, "kept": "/old", "seconds": 1.5}


def test_it_asks_for_the_clusters_name(made: list[FakePromotion], monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run(typed="dev\n")
    assert (refused.exit_code, made[-1].ran) == (2, "")
    assert "say --yes" in refused.stderr
    monkeypatch.setattr(naming, "has_terminal", lambda: True)
    other = run(typed="prod\n")
    assert (other.exit_code, made[-1].ran) == (2, "")
    assert "that is not dev; nothing was done" in other.stderr
    assert run(typed="dev\n").exit_code == 0
    assert made[-1].ran == "dev"
