"""docs/disaster-recovery.md is followed literally while clients sign who were there before: they see a pause."""

import re

from load import Load
from scale import SLACK
from store_stand import GUIDES, StoreStand, section_of
from terminals import steps_of

PAGE = "../disaster-recovery.md"
RUNBOOK = "The runbook, command by command"
PATIENT_S = 120.0 * SLACK
"""For one signature: whoever types reads as well, so the pause is longer than the command."""
NOT_THERE = {"hsmctl dr vouch"}
"""For sites that come back where the DR site cannot be reached: `test_return` does that."""


def test_the_runbook_does_what_it_says_and_no_client_sees_more_than_a_pause(stand: StoreStand) -> None:
    patient = Load(stand.client_config, clients=4, rate=5.0, timeout_s=PATIENT_S, key_id=stand.key, verify=False)
    with patient as load:
        stand.follow(RUNBOOK, page=PAGE)
    assert load.failed == {}
    assert load.latencies


def commands(page: str) -> set[str]:
    """Return what is typed of `hsmctl dr`, without options."""
    typed = "\n".join(step.text for step in steps_of(page))
    return {f"hsmctl dr {found}" for found in re.findall(r"hsmctl dr (\w+)", typed)}


def test_the_runbook_has_every_command_of_the_page() -> None:
    page = (GUIDES / PAGE).read_text(encoding="utf-8")
    assert commands(page) - commands(section_of(RUNBOOK, PAGE)) == NOT_THERE
