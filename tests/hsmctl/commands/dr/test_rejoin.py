"""hsmctl dr rejoin: which host comes back, and what it says."""

import json
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result

from hsmctl.cli import main
from hsmctl.commands.dr import naming
from hsmctl.commands.dr import rejoin as command
from hsmctl.promotion.rejoining import Rejoined


class FakeRejoining:
    """Notes what it was made with, and whether it ran."""

    made: ClassVar["list[FakeRejoining]"] = []
    done = Rejoined("dev", "etcd-zurich", "/old", 6.5)

    def __init__(self, host: Any, _note: Any, endpoint: str) -> None:
        self.host, self.endpoint, self.ran = host, endpoint, ""
        self.checked = ""
        self.made.append(self)

    def look(self) -> str:
        return "dev"

    def check_joined(self, cluster: str) -> None:
        self.checked = cluster

    def run(self, cluster: str) -> Rejoined:
        self.ran = cluster
        return self.done


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeRejoining]:
    monkeypatch.setattr(FakeRejoining, "made", [])
    monkeypatch.setattr(command, "Rejoining", FakeRejoining)
    monkeypatch.setattr(command, "host_of", lambda _session, _folder, site: site)
    return FakeRejoining.made


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, ["dr", "rejoin", *arguments], input=typed)


def test_it_says_what_was_done(made: list[FakeRejoining], monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("--yes", "--site", "zurich", "--to", "203.0.113.10:2379")
    assert done.stdout.splitlines() == [
        "etcd-zurich is a member of the promoted store of dev (6.5 s)",
        "what it was before is kept in /old",
    ]
    assert (made[0].host, made[0].endpoint, made[0].ran) == ("zurich", "203.0.113.10:2379", "dev")
    assert json.loads(run("--yes", "--json").stdout)["kept"] == "/old"
    monkeypatch.setattr(FakeRejoining, "done", Rejoined("dev", "", "", 0.5))
    assert run("--yes").stdout == "nodes follow the promoted store of dev (0.5 s)\n"


def test_only_force_gives_up_what_the_old_side_has_alone(
    made: list[FakeRejoining], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--yes")
    monkeypatch.setattr(naming, "has_terminal", lambda: True)
    asked = run("--force", typed="dev\n")
    assert [(each.checked, each.ran) for each in made] == [("dev", "dev"), ("", "dev")]
    assert "and what only the old side has is given up. Type the cluster's name" in asked.stderr


def test_nothing_is_done_before_the_name_was_typed(made: list[FakeRejoining]) -> None:
    assert run(typed="dev\n").exit_code == 2
    assert made[0].ran == ""
