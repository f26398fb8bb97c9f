"""What is said of work that is done, and that not all who were to have it have confirmed."""

from collections.abc import Sequence
from typing import Final

from hsm_wire.statuses import Status

UNCONFIRMED: Final = (int(Status.OK_UNCONFIRMED), int(Status.OK_DR_PENDING))
"""Statuses of such answers; their body is Unconfirmed."""


def unconfirmed_text(status: int, names: Sequence[str]) -> str:
    """Return the line for people.

    Args:
        status: one of `UNCONFIRMED`.
        names: nodes, and the DR site.
    """
    what = "yet at the DR site" if status == Status.OK_DR_PENDING else "confirmed by"
    return f"done, but not {what} {', '.join(names)}"
