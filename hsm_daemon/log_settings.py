"""`[log]` of proxy.toml and node.toml. A daemon reads it again at SIGHUP, and all of it holds at once."""

from typing import Annotated, Literal

import msgspec

Level = Literal["debug", "info", "warning", "error", "critical"]
LoggerName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$", max_length=64)]
"""As the lines have it after `logger=`, or the beginning of it up to a dot."""


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much is written, and how."""

    format: Literal["logfmt", "json"] = "logfmt"
    """`time=... level=... key=value`, or one JSON object a line."""
    level: Level = "info"
    """The least severe lines that are written."""
    levels: Annotated[dict[LoggerName, Level], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=dict)
    """The same for single loggers and those below them. `debug` for `proxy.requests` or `hsm_node.requests` is a line
    for each request."""
    slow_request_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 1.0
    """A request that took this long has a line of its own; 0: none has. The default is the time after which another
    node is asked too (`retry.attempt_s`)."""


DEFAULTS = LogSettings()
