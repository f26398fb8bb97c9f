"""Connections to nodes: found again after a loss, refused when the node is another one."""

import socket
import ssl

import pytest

from proxy.net.link_keeper import fault_words


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


async def test_a_node_that_takes_the_connection_and_says_nothing_gave_no_answer(stage):
    await stage.start(nodes=1)
    (path,) = stage.app.table.nodes[0].paths
    with socket.create_server(("127.0.0.1", 0)) as mute:
        path.address = f"127.0.0.1:{mute.getsockname()[1]}"
        await stage.nodes[0].stop()
        await stage.until(lambda: path.reason == "cannot connect: no answer within 1 s")


def test_reasons_are_words_without_addresses():
    words = {
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"): "Name or service not known",
        ConnectionRefusedError(111, "Connect call failed ('192.0.2.1', 1)"): "Connection refused",
        OSError("Multiple exceptions: [Errno 111] ('192.0.2.1', 1)"): "no address of its host can be reached",
        ConnectionError("the node closed the connection"): "the node closed the connection",
        ssl.SSLError(1, "x"): "TLS failed: the handshake broke",
    }
    assert {error: fault_words(error) for error in words} == words


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
async def test_a_host_that_cannot_be_looked_up_is_tried_again_and_says_why(stage, host):
    await stage.start(nodes=1)
    (path,) = stage.app.table.nodes[0].paths
    path.address = f"{host}:2420"
    tried = []
    open_, stage.app.keeper._open = (
        stage.app.keeper._open,
        lambda *args, **more: tried.append(1) or open_(*args, **more),
    )
    await stage.nodes[0].stop()
    await stage.until(lambda: len(tried) >= 3)
    assert path.reason.startswith("cannot connect: ")
    assert "Unknown error" not in path.reason


async def test_a_node_with_another_cluster_file_is_named_in_the_log(stage, caplog):
    caplog.set_level("WARNING")
    await stage.start(nodes=1)
    stage.nodes[0].hello_hash = "0" * 64
    await stage.nodes[0].stop()
    await stage.nodes[0].start()
    await stage.until(lambda: any("configuration differs" in record.message for record in caplog.records))


async def test_what_the_core_noticed_is_a_line_of_the_log(stage, caplog):
    caplog.set_level("WARNING")
    await stage.start(nodes=1)
    stage.app.dispatcher.notices.add("it happened", node="node-1")
    stage.app.dispatcher.notices.add("it is bad", level="error", node="node-1")
    await stage.until(lambda: any("it is bad" in record.message for record in caplog.records))
    levels = {record.message.split(" node=")[0]: record.levelname for record in caplog.records}
    assert [levels[text] for text in levels if "it " in text] == ["WARNING", "ERROR"], levels


async def test_a_bulk_connection_that_cannot_be_opened_is_a_line_for_each_new_reason(stage, caplog):
    caplog.set_level("WARNING")
    await stage.start(nodes=1)
    (path,) = stage.app.table.nodes[0].paths
    await stage.until(lambda: path.bulk is not None)
    keeper, tried, reasons = stage.app.keeper, [], ["full", "full", "full", "closed"]
    open_ = keeper._open

    async def fails(path, *, bulk):
        if bulk and len(tried) < len(reasons):
            tried.append(reasons[len(tried)])
            raise ConnectionError(tried[-1])
        return await open_(path, bulk=bulk)

    def told():
        return [record.fields["reason"] for record in caplog.records if record.message == "no bulk connection"]

    keeper._open = fails
    path.bulk.close("gone")
    await stage.until(lambda: len(tried) == 4 and path.bulk is not None)
    assert told() == ["cannot connect: full", "cannot connect: closed"]
    tried.clear()
    reasons[:] = ["closed"]
    path.bulk.close("gone")
    await stage.until(lambda: len(told()) == 3)
    assert path.up
