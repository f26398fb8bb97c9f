import msgspec
import pytest

from hsm_node.core.recovery_settings import RecoverySettings


def test_a_drill_an_hour_and_all_keys_once_a_day_is_what_holds_where_nobody_says() -> None:
    settings = RecoverySettings()
    assert (settings.drill_seconds, settings.all_keys_seconds, settings.objective_seconds) == (3600, 86_400, 5)


@pytest.mark.parametrize(
    "text",
    ["drill_seconds = 0", "objective_seconds = 0", "drill_keys = 0", "keys_per_second = 0", "drill_minutes = 5"],
)
def test_what_is_out_of_bounds_or_unknown_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.toml.decode(text, type=RecoverySettings)
