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
