"""Connections to nodes: found again after a loss, refused when the node is another one."""


async def test_a_node_under_another_name_is_never_used(stage):
    stage.with_tls()
    await stage.start(nodes=1, rotation=0, node_identity="spiffe://t/node/impostor-{}")
    node = stage.app.table.nodes[0]
    await stage.until(lambda: "impostor" in node.reason)
    assert node.operational == "down"
    assert not stage.nodes[0].requests


async def test_a_node_that_reports_another_state_leaves_and_returns(stage):
    await stage.start(nodes=2)
    stage.nodes[0].state = "sealed"
    await stage.until(lambda: len(stage.app.table.rotation) == 1)
    assert stage.app.table.nodes[0].operational == "sealed"
    stage.nodes[0].state = "up"
    await stage.until(lambda: len(stage.app.table.rotation) == 2)


async def test_a_node_that_cannot_be_reached_says_why(stage):
    await stage.start(nodes=1)
    await stage.nodes[0].stop()
    await stage.until(lambda: "cannot connect" in stage.app.table.nodes[0].reason)


async def test_a_node_with_another_cluster_file_is_named_in_the_log(stage, caplog):
    caplog.set_level("WARNING")
    await stage.start(nodes=1)
    stage.nodes[0].hello_hash = "0" * 64
    await stage.nodes[0].stop()
    await stage.nodes[0].start()
    await stage.until(lambda: any("configuration differs" in record.message for record in caplog.records))
