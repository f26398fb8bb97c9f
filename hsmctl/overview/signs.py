"""Signs and colours of states. Each colour has a sign and a word beside it: no page depends on colours."""

from typing import Final

from rich.text import Text

from hsmctl.printable import printable

GOOD: Final = ("●", "green")
UNSURE: Final = ("▲", "yellow")
BAD: Final = ("✗", "bold red")
ASIDE: Final = ("◌", "cyan")
"""Out of service because somebody wanted it so."""

HEALTH: Final = {"serving": GOOD, "degraded": UNSURE, "down": BAD}
SEVERITY: Final = {"info": ("·", "dim"), "warning": UNSURE, "error": BAD}
STATES: Final = {"up": GOOD, "probing": UNSURE, "stale": UNSURE, "lacking": UNSURE, "standby": ASIDE, "ready": GOOD}
"""Operational states; what is not here is bad."""


def state(name: str, administrative: str) -> Text:
    """Return a node's state with its sign."""
    if administrative != "ready":
        sign, style = ASIDE
        return Text.assemble((f"{sign} ", style), (printable(f"{administrative}, {name}"), style))
    sign, style = STATES.get(name, BAD)
    return Text.assemble((f"{sign} ", style), (printable(name), style))
