"""Options of the commands that make a key."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from hsm_wire import mechanisms as mech
from hsm_wire.messages import Policy
from hsm_wire.usages import PolicyFlag, Usage
from hsmctl.key_options import FLAG_HELP, flag_name, makes_key, usage_bits


def made_by(*arguments: str, names: tuple[str, ...] = ("--mechanism",)) -> Any:
    """Return what a command gets as `new`; None where the options are wrong."""
    seen: list[Any] = []

    @click.command()
    @makes_key(names=names)
    def command(new: Any) -> None:
        seen.append(new)

    done = CliRunner().invoke(command, arguments)
    assert (done.exit_code == 0) == bool(seen)
    return seen[0] if seen else None


def test_without_options_all_is_left_to_the_type() -> None:
    assert made_by() == {"label": "", "usage": None, "policy": Policy(), "durability": None}


def test_all_options_together_make_the_policy() -> None:
    new = made_by(
        *("--label", "l", "--usage", "sign", "--usage", "verify", "--exportable", "--strict"),
        *(
            "--mechanism",
            "aes-gcm",
            "--mechanism",
            "rsa-pss",
            "--not-before",
            "2026-01-01",
            "--not-after",
            "2027-01-01",
        ),
        *("--max-uses", "9", "--destruction-wait", "7d"),
    )
    assert (new["label"], new["usage"]) == ("l", Usage.SIGN | Usage.VERIFY)
    flags = PolicyFlag.EXPORTABLE | PolicyFlag.STRICT
    numbers = [mech.CKM_AES_GCM, mech.CKM_RSA_PKCS_PSS]
    assert new["policy"] == Policy(flags, numbers, 1_767_225_600, 1_798_761_600, 9, 604_800)


@pytest.mark.parametrize("flag", list(PolicyFlag))
def test_every_flag_has_its_option(flag: PolicyFlag) -> None:
    assert flag in FLAG_HELP
    assert made_by(f"--{flag_name(flag)}")["policy"].flags == flag


def test_a_command_with_a_mechanism_of_its_own_has_another_name_for_the_policys() -> None:
    assert made_by("--allow-mechanism", "ecdsa", names=("--allow-mechanism",))["policy"].mechanisms == [mech.CKM_ECDSA]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--label", "x" * 129],
        ["--label", "0" * 32],
        ["--usage", "everything"],
        ["--mechanism", "rot13"],
        ["--max-uses", "0"],
        ["--not-after", "tomorrow"],
        ["--destruction-wait", "7"],
    ],
)
def test_wrong_options_are_refused(arguments: list[str]) -> None:
    assert made_by(*arguments) is None


def test_no_usage_named_leaves_the_choice_to_the_type() -> None:
    assert usage_bits(()) is None
    assert usage_bits(("sign", "verify")) == Usage.SIGN | Usage.VERIFY
