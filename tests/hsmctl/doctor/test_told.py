"""What proxies call wrong beside what the other checks find."""

from pathlib import Path

import pytest
from reports import report

from hsm_node.store.etcd.survey import ALARMS
from hsmctl.doctor.finding import Finding
from hsmctl.doctor.told import ADVICE, OTHERWISE, told_findings
from proxy.core.reporting.expiry import EXPIRED
from proxy.core.reporting.health import problems_of_proxy
from proxy.core.reporting.sentences import RELOAD_FAILED


def told(*problems: str, refused: float = 0.0) -> list[Finding]:
    return told_findings("p", report(problems=list(problems), overloaded_per_second=refused))


def test_a_configuration_with_a_fault_is_found_though_the_proxy_goes_on_with_the_older_one() -> None:
    [found] = told(RELOAD_FAILED)
    assert (found.severity, found.subject, found.wrong) == ("warning", "proxy p", RELOAD_FAILED)
    assert "names the fault" in found.advice
    assert found.advice.endswith("`systemctl reload hsm-proxy`")


def test_a_slow_node_and_what_this_version_does_not_know_are_found() -> None:
    slow, new = told("zrh-1 is slow and gets fewer requests", "the moon is full")
    assert "hsmctl top" in slow.advice
    assert (new.wrong, new.advice) == ("the moon is full", OTHERWISE)


@pytest.mark.parametrize(
    "problem",
    [
        "no HSM node can be reached",
        "every HSM node that can be reached was taken out of service by an operator",
        "zrh-1 does not serve: connection refused",
        "zrh-1 serves with an old state of the store: no contact to its store",
        "zrh-1 does not answer over isp-a: connection refused",
        "store of zrh-1: it lacks 3 changes",
        "this proxy's certificate expires in 2 days",
        EXPIRED,
    ],
)
def test_what_another_check_finds_is_not_said_twice(problem: str) -> None:
    assert told(problem) == []


def test_each_sentence_of_a_proxy_has_its_advice_here_or_in_another_check(wrong_in_every_way: list[str]) -> None:
    found = told(*wrong_in_every_way)
    assert [each.wrong for each in found if each.advice == OTHERWISE] == []
    assert len({each.advice for each in found}) == len(ADVICE)


@pytest.mark.parametrize(
    ("alarm", "section"),
    [("NOSPACE", "The quota of the store is full"), ("CORRUPT", "The disk of a member is damaged")],
)
def test_what_a_node_says_of_an_alarm_leads_to_its_section(alarm: str, section: str) -> None:
    [found] = told(f"store member 10.0.0.1:2379 is out ({ALARMS[alarm]}): mend it before another one goes")
    assert f"`{section}`" in found.advice
    assert f"\n## {section}\n" in Path("docs/how-to/store.md").read_text(encoding="utf-8")


def test_an_overload_is_said_here_only_when_it_was_a_moment_ago() -> None:
    [words] = problems_of_proxy(overload="queue_full", urgent_s=None, reload_failed=False)
    assert told(words, refused=3.0) == []
    [found] = told(words)
    assert "slow the callers down" in found.advice
