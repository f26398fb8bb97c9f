"""SIGHUP: everything is checked first, what can change changes under load, what cannot is named."""

import json

import pytest
from proxy_stage import FAST

from hsm_cluster.errors import ConfigurationError
from hsm_daemon.errors import StartError
from hsm_daemon.tls import peer_identity
from hsm_wire import kinds
from hsm_wire.statuses import Status
from proxy.reconfiguration import what_to_do


def edit(stage, name, old, new):
    path = stage.folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


async def metric(stage, name):
    text = (await stage.get("/metrics"))[1].decode()
    (value,) = (line.split()[1] for line in text.splitlines() if line.startswith(f"{name} "))
    return float(value)


async def test_a_good_reload_without_changes_loses_no_connection(stage):
    stage.with_tls()
    await stage.start()
    client = await stage.connect(stage.certificate("a", "spiffe://t/client/a"))
    links = [set(node.links) for node in stage.nodes]
    nodes = list(stage.app.table.nodes)
    client.ask(1)
    stage.app.reload()
    assert (await client.frame()).status == 0
    client.ask(2)
    assert (await client.frame()).status == 0
    assert stage.app.table.nodes == nodes
    assert all(before <= node.links for before, node in zip(links, stage.nodes, strict=True))
    assert await metric(stage, "hsm_proxy_configuration_last_reload_successful") == 1
    assert await metric(stage, "hsm_proxy_certificate_not_after_seconds") > 1_700_000_000


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("proxy.toml", "clients = 20", "clients = 0"),
        ("cluster.toml", 'site = "local"', 'site = "elsewhere"'),
        ("proxy-1.pem", "BEGIN", "NOTHING"),
    ],
)
async def test_a_bad_file_changes_nothing(stage, name, old, new):
    stage.with_tls()
    await stage.start(nodes=2)
    client = await stage.connect(stage.certificate("a", "spiffe://t/client/a"))
    before = (stage.app.config, stage.app.settings.limits, list(stage.app.table.nodes), stage.app.keeper.context)
    loaded_at = await metric(stage, "hsm_proxy_configuration_last_reload_seconds")
    edit(stage, "proxy.toml", "hello_s = 0.3", "hello_s = 0.4")
    edit(stage, name, old, new)
    with pytest.raises((ConfigurationError, StartError)) as caught:
        stage.app.reload()
    assert "\n" not in str(caught.value)
    assert before == (stage.app.config, stage.app.settings.limits, stage.app.table.nodes, stage.app.keeper.context)
    assert await metric(stage, "hsm_proxy_configuration_last_reload_successful") == 0
    assert await metric(stage, "hsm_proxy_configuration_last_reload_seconds") == loaded_at
    client.ask(1)
    assert (await client.frame()).status == 0


async def test_tables_are_taken_over_in_the_shared_object(stage):
    await stage.start(nodes=1)
    shared = stage.app.settings
    edit(stage, "proxy.toml", "interval_s = 0.05", "interval_s = 0.07")
    edit(stage, "proxy.toml", "clients = 20", "clients = 30")
    edit(stage, "proxy.toml", "[limits]", "[retry]\nattempts = 2\n[ejection]\nbase_s = 3.0\n[limits]")
    stage.app.reload()
    assert stage.app.settings is shared is stage.app.listener.settings is stage.app.keeper.settings
    assert (shared.limits.clients, shared.retry.attempts, shared.ejection.base_s) == (30, 2, 3.0)


async def test_nodes_come_and_go_and_the_others_keep_their_links(stage):
    calm = FAST.replace("timeout_s = 0.1", "timeout_s = 2.0\nsilence_s = 2.0")  # a busy machine must lose no link
    await stage.start(nodes=3, settings=calm)
    client = await stage.connect()
    kept, removed = stage.app.table.nodes[0], stage.app.table.nodes[2]
    links = set(stage.nodes[0].links)
    gone = stage.nodes[2]
    gone.holding = True
    for request_id in range(1, 31):
        client.ask(request_id)
    await stage.until(lambda: gone.requests)
    stage.nodes.remove(gone)
    added = await stage.add_node("node-4")
    text = stage.write(calm).parent.joinpath("cluster.toml").read_text()
    weighted = text.replace('name = "node-1"\nsite = "local"\n', 'name = "node-1"\nsite = "local"\nweight = 3\n')
    (stage.folder / "cluster.toml").write_text(weighted)
    stage.app.reload()
    assert all(frame.status == 0 for frame in await client.frames(30)), "what the removed node had goes elsewhere"
    await stage.until(lambda: added.links and len(stage.app.table.rotation) == 3)
    assert stage.app.table.nodes[0] is kept
    assert (kept.weight, links <= stage.nodes[0].links) == (3, True)
    assert removed not in stage.app.table.nodes
    await stage.until(lambda: not gone.links)
    status = json.loads((await stage.get("/status"))[1])
    assert [node["name"] for node in status["nodes"]] == ["node-1", "node-2", "node-4"]
    assert status["configuration_hash"] == stage.app.config.cluster.configuration_hash
    assert stage.app.listener.configuration_hash == status["configuration_hash"]
    assert stage.app.keeper.configuration_hash == status["configuration_hash"]
    assert stage.app.dispatcher.counters.poisoned == 0
    await gone.stop()


async def test_a_node_at_another_address_is_another_one(stage):
    await stage.start(nodes=2)
    old, other = stage.app.table.nodes
    old.requests = 5
    moved = stage.nodes[0]
    await moved.stop()
    moved.port = 0
    await moved.start()
    stage.write()
    stage.app.reload()
    assert (stage.app.table.nodes[0] is old, stage.app.table.nodes[1] is other) == (False, True)
    assert stage.app.table.nodes[0].requests == 5
    await stage.until(lambda: moved.links and len(stage.app.table.rotation) == 2)


async def test_who_has_other_grants_comes_back_under_them_and_who_has_none_is_refused(stage):
    stage.with_tls()
    await stage.start(nodes=1)
    names = {name: stage.certificate(name, f"spiffe://t/client/{name}") for name in "abc"}
    grants = ", ".join(f'{{ identity = "spiffe://t/client/{name}", roles = ["use"] }}' for name in "abc")
    edit(stage, "cluster.toml", '{ identity = "spiffe://t/client/a", roles = ["use"] }', grants)
    stage.app.reload()
    same, other, gone = [await stage.connect(names[name]) for name in "abc"]
    stage.nodes[0].holding = True
    gone.ask(1)
    await stage.until(lambda: stage.nodes[0].requests)
    text = (stage.folder / "cluster.toml").read_text()
    text = text.replace('client/b", roles = ["use"]', 'client/b", roles = ["manage", "use"]')
    text = text.replace(', { identity = "spiffe://t/client/c", roles = ["use"] }', "")
    (stage.folder / "cluster.toml").write_text(text)
    stage.app.reload()
    assert (await other.frame()).kind == kinds.GOAWAY
    assert await other.frame() is None
    assert (await gone.frame()).kind == kinds.GOAWAY
    gone.ask(2)
    assert (await gone.frame()).status == Status.GOING_AWAY
    stage.nodes[0].holding = False
    stage.nodes[0].release()
    assert (await gone.frame()).request_id == 1, "what it had asked before is answered"
    same.ask(1)
    assert (await same.frame()).status == 0
    again = await stage.connect(names["b"])
    again.ask(1)
    assert (await again.frame()).status == 0
    (bind,) = (bind for bind in stage.nodes[0].binds.values() if "manage" in bind.roles)
    assert bind.identity == "spiffe://t/client/b"
    refused = await stage.connect(names["c"], hello=False)
    refused.hello()
    assert (await refused.frame()).status == Status.DENIED


async def test_new_certificates_are_used_for_what_connects_from_now_on(stage):
    stage.with_tls()
    await stage.start(nodes=1)
    files = stage.certificate("a", "spiffe://t/client/a")
    old = await stage.connect(files)
    stage.certificate("proxy-1", "spiffe://t/proxy/proxy-1")
    context = stage.app.keeper.context
    stage.app.reload()
    new = await stage.connect(files)
    shown = [peer_identity(client.writer.transport).certificate_sha256 for client in (old, new)]
    assert shown[0] != shown[1]
    assert stage.app.keeper.context is not context
    old.ask(1)
    assert (await old.frame()).status == 0


async def test_what_needs_a_restart_is_named_once_and_the_rest_applied(stage, caplog):
    stage.with_tls()
    await stage.start(nodes=1)
    cluster = stage.app.config.cluster
    stage.certificate("proxy-1", "spiffe://t/proxy/proxy-9")
    edit(stage, "proxy.toml", 'name = "proxy-1"', 'name = "proxy-9"')
    edit(stage, "proxy.toml", 'listen = "127.0.0.1:0"', 'listen = "127.0.0.1:1"')
    edit(stage, "proxy.toml", "clients = 20", "clients = 30\nhandshakes_burst = 7")
    edit(stage, "proxy.toml", "closing_s = 0.3", "closing_s = 0.7")
    edit(stage, "cluster.toml", 'name = "t"', 'name = "u"')
    edit(stage, "cluster.toml", "spiffe://t/", "spiffe://u/")
    context = stage.app.keeper.context
    for _ in range(2):
        caplog.clear()
        stage.app.reload()
        (record,) = (record for record in caplog.records if "restart" in record.message)
        assert record.fields["settings"] == (
            "listen, name, limits.handshakes_burst, limits.closing_s, cluster name, identity of the certificate"
        )
        assert record.fields["what"].endswith("stop and start for listen; for the others a hot restart (SIGUSR2) does")
    assert (stage.app.settings.limits.clients, stage.app.settings.limits.closing_s) == (30, 0.3)
    assert stage.app.config.cluster is cluster
    assert stage.app.keeper.context is context
    (stage.folder / "proxy.toml").write_text(stage.write().read_text().replace(FAST, ""))
    edit(stage, "proxy.toml", "tls = {", 'tls = "off"\ntls_off_identity = "spiffe://t/client/a" # {')
    caplog.clear()
    stage.app.reload()
    (record,) = (record for record in caplog.records if "restart" in record.message)
    assert record.fields["settings"] == "limits.closing_s, tls on or off"
    client = await stage.connect(stage.certificate("a", "spiffe://t/client/a"))
    client.ask(1)
    assert (await client.frame()).status == 0


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("listen", "admin"), "the old values stay until a restart: stop and start for listen, admin"),
        (("name",), "the old values stay until a hot restart (SIGUSR2) or a restart"),
    ],
)
def test_what_a_hot_restart_does_not_change_is_said(names, said):
    assert what_to_do(names) == said


async def test_the_log_is_reloaded_and_a_logger_that_there_is_not_is_refused(stage):
    await stage.start()
    path = stage.folder / "proxy.toml"
    before = path.read_text()
    path.write_text(before + "\n[log]\nslow_request_s = 0.25\n")
    stage.app.reload()
    assert stage.app.dispatcher.request_notes.noted_s == 0.25
    path.write_text(before + '\n[log]\nlevels = { "proxy.node" = "debug" }\n')
    with pytest.raises(StartError, match=r"there is no logger 'proxy.node'"):
        stage.app.reload()
    assert stage.app.dispatcher.request_notes.noted_s == 0.25
