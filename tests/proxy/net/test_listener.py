"""Who is let in, how many, and for how long without a word."""

import ssl

import pytest
from proxy_stage import Authority

from hsm_wire import kinds
from hsm_wire.messages import Failure, decode_body
from hsm_wire.statuses import Status


@pytest.mark.parametrize("identity", ["spiffe://t/client/a", "spiffe://t/operator/o"])
async def test_a_client_of_the_cluster_is_served_under_its_identity(stage, identity):
    stage.with_tls()
    await stage.start(nodes=1)
    client = await stage.connect(stage.certificate("a", identity))
    client.ask(1)
    assert (await client.frame()).status == 0
    (bind,) = stage.nodes[0].binds.values()
    assert (bind.identity, len(bind.certificate_sha256)) == (identity, 32)
    assert bind.not_after > 1_700_000_000
    assert (bind.partition, bind.roles) == ((1, ["use"]) if "client" in identity else (0, ["operate"]))


@pytest.mark.parametrize(
    "identity", ["spiffe://t/client/stranger", "spiffe://t/node/node-1", "spiffe://other/client/a", None]
)
async def test_any_other_identity_is_denied(stage, identity):
    stage.with_tls()
    await stage.start(nodes=1)
    client = await stage.connect(stage.certificate("b", identity), hello=False)
    client.hello()
    frame = await client.frame()
    assert (frame.request_id, frame.status) == (0, Status.DENIED)
    assert "not a client of this cluster" in decode_body(Failure, frame.body).detail
    assert await client.frame() is None


async def test_a_certificate_of_a_foreign_authority_gets_nowhere(stage, tmp_path):
    stage.with_tls()
    await stage.start(nodes=1)
    foreign = Authority(tmp_path, "foreign").issue("f", "spiffe://t/client/a")
    mixed = type(foreign)(stage.tls.ca, foreign.certificate, foreign.key)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError, AttributeError)):
        await stage.connect(mixed)


async def test_plain_text_on_the_tls_port_gets_nowhere(stage):
    stage.with_tls()
    await stage.start(nodes=1)
    client = await stage.connect(hello=False)
    client.hello()
    assert await client.frame() is None
    assert not stage.app.listener.clients


async def test_a_connection_without_hello_is_closed(stage):
    await stage.start(nodes=1)
    client = await stage.connect(hello=False)
    assert await client.frame() is None


async def test_too_many_connections_are_refused_with_an_answer(stage):
    await stage.start(nodes=1)
    for _ in range(20):
        await stage.connect()
    client = await stage.connect(hello=False)
    frame = await client.frame()
    assert (frame.kind, frame.status) == (kinds.RESPONSE, Status.OVERLOADED)
    assert await client.frame() is None
