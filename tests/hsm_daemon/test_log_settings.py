"""The table [log]."""

import msgspec
import pytest

from hsm_daemon.log_settings import DEFAULTS, LogSettings


def settings(toml: str) -> LogSettings:
    return msgspec.toml.decode(toml, type=LogSettings)


def test_every_setting_has_a_default() -> None:
    assert settings("") == DEFAULTS
    assert (DEFAULTS.format, DEFAULTS.level, DEFAULTS.levels, DEFAULTS.slow_request_s) == ("logfmt", "info", {}, 1.0)


def test_all_of_it_as_it_is_written() -> None:
    text = 'format = "json"\nlevel = "error"\nslow_request_s = 0\nlevels = { "proxy.nodes" = "debug" }'
    assert settings(text) == LogSettings("json", "error", {"proxy.nodes": "debug"}, 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        'format = "xml"', 'level = "loud"', "slow_request_s = -1", 'levels = { "proxy.nodes" = "all" }',
        'levels = { "proxy nodes" = "debug" }', "colour = true",
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(wrong: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        settings(wrong)
