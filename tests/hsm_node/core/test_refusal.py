import pytest

from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status


def test_a_refusal_carries_its_answer() -> None:
    refusal = Refusal(Status.OVERLOADED, "full", not_executed=True, retry_after_ms=5)
    assert (refusal.status, refusal.detail, refusal.not_executed, refusal.retry_after_ms) == (
        Status.OVERLOADED,
        "full",
        True,
        5,
    )


@pytest.mark.parametrize(
    ("status", "worked"),
    [
        (Status.BAD_SIGNATURE, True),
        (Status.BAD_DATA, True),
        (Status.DENIED, False),
        (Status.KEY_NOT_FOUND, False),
        (Status.CANCELLED, False),
        (Status.DEVICE_ERROR, False),
    ],
)
def test_only_what_a_key_at_work_said_comes_after_work(status: Status, worked: bool) -> None:
    assert Refusal(status, "no").after_work is worked
    assert not Refusal(status, "no", not_executed=True).after_work
