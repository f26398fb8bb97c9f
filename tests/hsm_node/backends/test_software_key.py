from collections.abc import Callable

import pytest

from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status


@pytest.mark.parametrize(
    "use",
    [
        lambda key: key.wrap(1, None, b""),
        lambda key: key.unwrap(1, None, b""),
        lambda key: key.derive(1, None, 32),
        lambda key: key.encapsulate(1),
        lambda key: key.decapsulate(1, b""),
    ],
)
def test_a_key_refuses_what_its_family_does_not_do(use: Callable[[SoftwareKey], object]) -> None:
    with pytest.raises(Refusal) as refused:
        use(SoftwareKey())
    assert refused.value.status is Status.MECHANISM_NOT_HERE
    assert refused.value.not_executed
