"""How a node of the DR site proves itself: the table [recovery] of node.toml. Other nodes read it and do nothing."""

from typing import Annotated, Final

import msgspec

_DAY_S: Final = 86_400
_Rate = Annotated[float, msgspec.Meta(ge=0.1, le=1_000_000)]


class RecoverySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When drills are, how much they try and at which pace, and what they must find."""

    objective_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=_DAY_S)] = 5.0
    """The most that may be lost: a drill fails where the copy of this site is further behind. Clusters whose sites
    reach each other stay far below a second; an election of the store takes two to three."""
    drill_seconds: Annotated[float, msgspec.Meta(ge=1, le=7 * _DAY_S)] = 3600.0
    """From one drill to the next."""
    all_keys_seconds: Annotated[float, msgspec.Meta(ge=1, le=30 * _DAY_S)] = 86_400.0
    """From one drill that uses every key to the next; the others use some of them."""
    drill_keys: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 200
    """Keys that these others use, drawn anew each time, of every type that there is."""
    keys_per_second: _Rate = 100.0
    """Keys that are used in a second, so that a drill disturbs nothing: one of RSA-8192 takes 45 ms of a core, most
    others below 1 ms."""
    records_per_second: _Rate = 5_000.0
    """Records that are read and authenticated in a second: each takes about 20 us of a core, and the site's own member
    of the store reads a page of 200 at once."""
