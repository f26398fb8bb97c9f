"""Whatever a request says, it is answered with the status that docs/protocol.md names, and its key goes on working."""

from collections.abc import Callable, Iterator

import pytest
from desk import Answer, Asked, Desk
from good_requests import Good, GoodRequests, uses
from hostile_requests import Hostile, HostileRequests

from hsm_wire.key_types import Family
from hsm_wire.mechanisms import Mechanism
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

LEAST_REFUSED = 300
"""What issue 5 asks for, of all; each use alone has more than half of that."""
CASES_TO_A_NEW_KEY = 8
"""Each good request makes a key where its operation does: a store transaction."""


@pytest.fixture(scope="session")
def requests(desk: Desk) -> GoodRequests:
    return GoodRequests(desk.ask, desk.offered)


@pytest.fixture(scope="session")
def hostile(requests: GoodRequests) -> HostileRequests:
    return HostileRequests(requests)


def name_of(value: object) -> str:
    """Return how pytest names a parameter."""
    if isinstance(value, Mechanism):
        return value.alias
    return str(value.name).lower() if isinstance(value, Usage | Family) else "caller-iv" * bool(value)


@pytest.mark.parametrize(("mechanism", "usage", "family", "caller_iv"), list(uses()), ids=name_of)
def test_a_request_with_one_thing_wrong_is_refused_by_its_status_and_the_next_good_one_is_done(
    desk: Desk,
    requests: GoodRequests,
    hostile: HostileRequests,
    count: Callable[[str, int], None],
    mechanism: Mechanism,
    usage: Usage,
    family: Family,
    caller_iv: bool,
) -> None:
    good = requests.make(mechanism, usage, family, caller_iv=caller_iv)
    cases = list(hostile.of(good))
    wrong = list(wrong_answers(desk, requests, good, cases))
    assert not wrong, "\n".join(wrong)
    refused = sum(case.refused for case in cases)
    assert refused > LEAST_REFUSED / 2
    count("hostile requests refused by a node", refused)
    count("odd requests done by a node", len(cases) - refused)


def wrong_answers(desk: Desk, requests: GoodRequests, good: Good, cases: list[Hostile]) -> Iterator[str]:
    """Ask each case, and the good request in between; say what was answered otherwise than it must be."""
    here = requests.offered.get(good.mechanism.number, 0) & good.usage
    afterwards = Status.OK if here else Status.MECHANISM_NOT_HERE
    step = CASES_TO_A_NEW_KEY if good.new_key else 1
    asked: list[tuple[Hostile | None, Asked]] = []
    for number, case in enumerate(cases, 1):
        asked.append((case, Asked(case.opcode, case.body)))
        if number % step == 0 or case is cases[-1]:
            asked.append((None, Asked(good.opcode, good.body())))
    last = ""
    for (one, _), answer in zip(asked, desk.ask_all([request for _, request in asked]), strict=True):
        assert_plain(answer)
        if one is not None and answer.status not in one.expected:
            yield f"{one.name}: {answer.word}, not {words(one)}"
        if one is None and answer.status != afterwards:
            yield f"{good.name} after {last}: {answer.word}"
        last = last if one is None else one.name


def words(case: Hostile) -> str:
    """Return what a case must be answered."""
    return " or ".join(sorted(status.name for status in case.expected))


def assert_plain(answer: Answer) -> None:
    """A refusal says what is wrong in one line."""
    if answer.status >> 8:
        assert 10 < len(answer.word.split("(", 1)[1]) < 400
        assert "\n" not in answer.word
