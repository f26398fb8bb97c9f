"""One thing that is wrong, and what to do about it."""

from typing import Final, Literal

import msgspec

ADVICE_AT: Final = "; "
"""What separates, in our errors, what is wrong from what to do."""


class Finding(msgspec.Struct, frozen=True):
    """See the module. `severity` is `error` where something fails now, `warning` where it will or may."""

    check: str
    severity: Literal["error", "warning"]
    subject: str
    """What it is about: a file, a proxy, a node."""
    wrong: str
    advice: str


class Examination(msgspec.Struct, frozen=True):
    """What one check found; `left_out` says why it could not look, empty where it did."""

    check: str
    findings: list[Finding] = []
    left_out: str = ""


def from_line(check: str, subject: str, line: str, otherwise: str) -> Finding:
    """Return the finding of an error line of ours, which has its advice at the end; `otherwise` where it has none."""
    wrong, separator, advice = line.rpartition(ADVICE_AT)
    return (
        Finding(check, "error", subject, wrong, advice)
        if separator
        else Finding(check, "error", subject, line, otherwise)
    )
