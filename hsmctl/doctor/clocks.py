"""Clocks that differ: certificates and time-outs are judged by them."""

from typing import Final

from hsm_wire.messages import StatusResult
from hsmctl.doctor.finding import Finding
from hsmctl.overview.events import maybe_moment
from hsmctl.proxies import Answer

CHECK: Final = "clocks"
MAX_SKEW_S: Final = 5.0
"""The alert's threshold too; below it nothing that the cluster does depends on the clock."""


def clock_findings(answers: list[Answer[StatusResult]]) -> list[Finding]:
    """Return the proxies whose clock differs from this host's by more than the way there explains."""
    found = []
    for answer in answers:
        skew_s = maybe_skew_s(answer)
        if skew_s is None or abs(skew_s) - answer.round_trip_s / 2 <= MAX_SKEW_S:
            continue
        direction = "ahead of" if skew_s > 0 else "behind"
        found.append(
            Finding(
                CHECK,
                "error",
                f"proxy {answer.address}",
                f"its clock is {abs(skew_s):.0f} s {direction} this host's",
                "see which of the two is wrong and why (`timedatectl`, `chronyc tracking` on both)",
            )
        )
    return found


def maybe_skew_s(answer: Answer[StatusResult]) -> float | None:
    """Return by how much the proxy's clock is ahead; None where the proxy does not say its time."""
    moment = maybe_moment(answer.result.now) if answer.result is not None else None
    return None if moment is None else moment.timestamp() - answer.asked_at
