"""What the keys have chosen: the view, the order, the place in it, whether it stands still."""

from typing import Final

import msgspec

from hsmctl.overview.nodes import SORTS

VIEWS: Final = ("nodes", "paths", "events")
ORDERS: Final = ("site", *SORTS)
"""By site as `status` has it, or all nodes by one figure."""
PAGE_LINES: Final = 10
"""What PgUp and PgDn move by."""
INTERVALS_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
HELP: Final = (
    ("q, Ctrl-C", "quit"),
    ("space, p", "stand still, go on"),
    ("Tab, left, right", "next or previous view"),
    ("1, 2, 3", "nodes, paths, events"),
    ("s, S", "sort the nodes by the next or previous figure"),
    ("up, down, PgUp, PgDn, Home", "move in a view that is longer than the screen"),
    ("+, -", "look more or less often"),
    ("h, ?", "this help; any key leaves it"),
)


class Controls(msgspec.Struct, frozen=True):
    """See the module."""

    view: str = "nodes"
    order: str = "site"
    offset: int = 0
    """Lines of the view above the screen."""
    paused: bool = False
    help: bool = False
    quit: bool = False
    interval_s: float = 1.0


_VIEW_KEYS: Final = {"1": 0, "2": 1, "3": 2}
_MOVES: Final = {"up": -1, "down": 1, "k": -1, "j": 1, "page up": -PAGE_LINES, "page down": PAGE_LINES}
_VIEW_STEPS: Final = {"tab": 1, "right": 1, "back tab": -1, "left": -1}
_ORDER_STEPS: Final = {"s": 1, "S": -1}
_INTERVAL_STEPS: Final = {"+": -1, "=": -1, "-": 1}


def pressed(controls: Controls, key: str) -> Controls:
    """Return what a key makes of it; a key without a meaning changes nothing."""
    change = msgspec.structs.replace
    if key in ("q", "Q", "ctrl-c"):
        return change(controls, quit=True)
    if controls.help or key in ("h", "?"):
        return change(controls, help=not controls.help)
    if key in (" ", "p"):
        return change(controls, paused=not controls.paused)
    if key in _VIEW_KEYS:
        return change(controls, view=VIEWS[_VIEW_KEYS[key]], offset=0)
    if key in _VIEW_STEPS:
        return change(controls, view=_next(VIEWS, controls.view, _VIEW_STEPS[key]), offset=0)
    return _in_view(controls, key)


def _in_view(controls: Controls, key: str) -> Controls:
    change = msgspec.structs.replace
    if key in _ORDER_STEPS:
        return change(controls, order=_next(ORDERS, controls.order, _ORDER_STEPS[key]), view="nodes", offset=0)
    if key in _MOVES:
        return change(controls, offset=max(controls.offset + _MOVES[key], 0))
    if key == "home":
        return change(controls, offset=0)
    if key in _INTERVAL_STEPS:
        at = INTERVALS_S.index(controls.interval_s) + _INTERVAL_STEPS[key]
        return change(controls, interval_s=INTERVALS_S[min(max(at, 0), len(INTERVALS_S) - 1)])
    return controls


def _next(values: tuple[str, ...], value: str, step: int) -> str:
    return values[(values.index(value) + step) % len(values)]
