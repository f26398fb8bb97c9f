"""Tokens for a development cluster; `tests/system/test_device_demo.py` has real ones."""

import stat
from pathlib import Path

import pytest

from hsmctl.dev import soft_tokens
from hsmctl.dev.configuration import node_toml
from hsmctl.dev.plan import Plan, make_plan
from hsmctl.dev.soft_tokens import environment, find_module, make_tokens
from hsmctl.failures import CommandError

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")


@pytest.fixture
def plan() -> Plan:
    return make_plan(3, 1, tls=False, event_loop=None, softhsm=MODULE)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be run: the tool with its first option, and the ceremony's commands with their node."""
    run: list[str] = []

    def note(_folder: Path, command: list[str]) -> None:
        words = command[:2] if command[0] == soft_tokens.TOOL else [command[4], command[5]]
        run.append(" ".join(words))

    monkeypatch.setattr(soft_tokens, "_run", note)
    return run


def test_without_softhsm_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_tokens, "MODULES", (Path("/none/libsofthsm2.so"),))
    with pytest.raises(CommandError, match="apt-get install softhsm2"):
        find_module()


def test_tokens_are_made_once_and_the_master_key_goes_from_the_first_to_the_others(
    tmp_path: Path, plan: Plan, commands: list[str]
) -> None:
    make_tokens(tmp_path, plan)
    assert commands == [
        *["softhsm2-util --init-token"] * 3,
        "node-2.toml join",
        "node-3.toml join",
        "node-1.toml init",
        "node-2.toml join",
        "node-3.toml join",
    ]
    for name in ("pin", "so-pin"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert environment(tmp_path) == {"SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf")}
    commands.clear()
    make_tokens(tmp_path, plan)
    assert commands == []
    with pytest.raises(CommandError, match="no token for each of 4 nodes"):
        make_tokens(tmp_path, make_plan(4, 1, tls=False, event_loop=None, softhsm=MODULE))


def test_what_did_not_come_to_its_end_is_begun_anew(
    tmp_path: Path, plan: Plan, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noting = soft_tokens._run

    def fail(folder: Path, command: list[str]) -> None:
        noting(folder, command)
        if "--answer" in command:
            raise CommandError("the tokens could not be made: it broke")

    monkeypatch.setattr(soft_tokens, "_run", fail)
    with pytest.raises(CommandError, match="it broke"):
        make_tokens(tmp_path, plan)
    monkeypatch.setattr(soft_tokens, "_run", noting)
    commands.clear()
    make_tokens(tmp_path, plan)
    assert len(commands) == 8


def test_a_command_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="could not be made: second line"):
        soft_tokens._run(tmp_path, ["sh", "-c", "echo first line >&2; echo second line >&2; exit 1"])


def test_each_node_is_told_of_its_own_token(plan: Plan) -> None:
    text = node_toml(plan, plan.nodes[1])
    assert 'token_label = "node-2"' in text
    assert 'master_key = { device = "redoubt" }' in text
    assert "software" not in text
