import pytest

from hsm_node.core.principals import Bindings
from hsm_node.core.refusal import Refusal
from hsm_wire.messages import Bind
from hsm_wire.statuses import Status


def bind(number: int, identity: str = "spiffe://dev/client/a") -> Bind:
    return Bind(number, identity, 1, ["use"], b"", 0)


def test_a_number_means_who_was_bound_last_until_unbound() -> None:
    bindings = Bindings("dev")
    bindings.bind(bind(1))
    bindings.bind(bind(1, "spiffe://dev/client/b"))
    principal = bindings.principal(1)
    assert principal is not None
    assert principal.identity.endswith("/b")
    bindings.unbind(1)
    bindings.unbind(1)
    assert bindings.principal(1) is None


def test_an_identity_of_another_cluster_is_denied() -> None:
    with pytest.raises(Refusal) as refused:
        Bindings("dev").bind(bind(1, "spiffe://devil/client/a"))
    assert refused.value.status is Status.DENIED


def test_the_number_of_bindings_is_bounded() -> None:
    bindings = Bindings("dev", limit=1)
    bindings.bind(bind(1))
    bindings.bind(bind(1))
    with pytest.raises(Refusal, match="UNBIND"):
        bindings.bind(bind(2))
    assert len(bindings) == 1
