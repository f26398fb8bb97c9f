import pytest

from hsm_node.core.principals import Bindings
from hsm_node.core.refusal import Refusal
from hsm_wire.messages import Bind
from hsm_wire.statuses import Status


def bind(number: int, identity: str = "spiffe://dev/client/a") -> Bind:
    return Bind(number, identity, 1, ["use"], b"", 0)


def test_a_number_means_who_was_bound_last_until_unbound() -> None:
    bindings = Bindings("dev")
    bindings.bind(bind(1), "")
    bindings.bind(bind(1, "spiffe://dev/client/b"), "")
    principal = bindings.principal(1)
    assert principal is not None
    assert principal.identity.endswith("/b")
    bindings.unbind(1)
    bindings.unbind(1)
    assert bindings.principal(1) is None


def test_an_identity_of_another_cluster_is_denied() -> None:
    with pytest.raises(Refusal) as refused:
        Bindings("dev").bind(bind(1, "spiffe://devil/client/a"), "")
    assert refused.value.status is Status.DENIED


def test_the_number_of_bindings_is_bounded() -> None:
    bindings = Bindings("dev", limit=1)
    bindings.bind(bind(1), "")
    bindings.bind(bind(1), "")
    with pytest.raises(Refusal, match="UNBIND"):
        bindings.bind(bind(2), "")
    assert len(bindings) == 1


OWN = "spiffe://dev/proxy/p1"


def check(identity: str, roles: tuple[str, ...] = ("check",), partition: int = 0) -> Bind:
    return Bind(1, identity, partition, list(roles), b"", 0)


@pytest.mark.parametrize("peer", [OWN, ""])
def test_a_proxy_may_check_as_itself(peer: str) -> None:
    bindings = Bindings("dev")
    bindings.bind(check(OWN), peer)
    principal = bindings.principal(1)
    assert principal is not None
    assert principal.roles == {"check"}


@pytest.mark.parametrize(
    "wrong",
    [
        check("spiffe://dev/client/a"),
        check("spiffe://dev/proxy/other"),
        check(OWN, ("check", "use")),
        check(OWN, ("use",)),
        check(OWN, partition=1),
    ],
)
def test_nobody_else_checks_and_a_proxy_does_nothing_else(wrong: Bind) -> None:
    with pytest.raises(Refusal) as refused:
        Bindings("dev").bind(wrong, OWN)
    assert refused.value.status is Status.DENIED


def test_a_refused_bind_leaves_the_number_with_nobody() -> None:
    bindings = Bindings("dev")
    bindings.bind(bind(1), "")
    with pytest.raises(Refusal):
        bindings.bind(bind(1, "spiffe://other/client/b"), "")
    assert bindings.principal(1) is None
