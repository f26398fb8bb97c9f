"""HELLO: the answer that makes a connection, or the one that says why there is none."""

import pytest

from hsm_wire.messages import Hello, encode_body
from hsm_wire.statuses import Status
from proxy.net.greeting import Refused, answer

GOOD = encode_body(Hello(1, 1, 1 << 20, 8, "test"))
WHO = "spiffe://t/client/a"


@pytest.fixture
async def listener(stage):
    await stage.start(nodes=1)
    return stage.app.listener


async def test_a_good_hello_has_a_welcome_and_who_it_is(listener):
    welcome, who = answer(GOOD, listener, None, "peer")
    assert (welcome.max_in_flight, who.identity) == (8, WHO)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"\xc0", Status.BAD_REQUEST), (encode_body(Hello(2, 9, 1 << 20, 1, "x")), Status.UNSUPPORTED_VERSION)],
)
async def test_what_cannot_be_agreed_on_is_refused_and_counts_nobody(listener, body, status):
    with pytest.raises(Refused) as refused:
        answer(body, listener, None, "peer")
    assert refused.value.status is status
    assert listener._principals.users(WHO) == 0


async def test_one_connection_too_many_of_an_identity_is_refused_and_not_counted(stage):
    await stage.start(nodes=1, settings="[limits]\nidentity_clients = 1\n")
    listener = stage.app.listener
    answer(GOOD, listener, None, "peer")
    with pytest.raises(Refused, match="its 1 connections"):
        answer(GOOD, listener, None, "peer")
    assert listener._principals.users(WHO) == 1


async def test_a_proxy_that_shuts_down_greets_nobody(listener):
    listener.dispatcher.leaving = True
    with pytest.raises(Refused) as refused:
        answer(GOOD, listener, None, "peer")
    assert refused.value.status is Status.GOING_AWAY
