"""One connection to a node."""

import gc
import weakref

from hsm_wire import kinds


async def test_a_node_that_breaks_the_protocol_is_dropped_and_its_requests_move(stage):
    await stage.start(nodes=2)
    bad = stage.nodes[0]
    bad.holding = True
    client = await stage.connect()
    for request_id in range(1, 21):
        client.ask(request_id)
    await stage.until(lambda: bad.requests)
    for link in bad.links:
        link.transport.write(b"\x00" * 40)
    assert all(frame.status == 0 for frame in await client.frames(20))
    assert stage.app.table.nodes[0].failures["lost"] >= 1


async def test_a_body_that_is_no_pong_drops_the_link(stage):
    await stage.start(nodes=1)
    first = next(iter(stage.nodes[0].links))
    stage.nodes[0].say(kinds.PONG, b"\xc0")
    await stage.until(lambda: first not in stage.nodes[0].links)


async def test_bind_is_sent_again_on_a_new_connection(stage):
    await stage.start(nodes=1)
    client = await stage.connect()
    client.ask(1)
    await client.frame()
    node = stage.nodes[0]
    await node.stop()
    node.binds.clear()
    await node.start()
    await stage.until(lambda: node.links and stage.app.table.rotation)
    client.ask(2)
    assert (await client.frame()).status == 0
    assert node.binds


async def test_a_connection_that_was_lost_holds_nothing_so_its_buffers_go_without_the_collector(stage):
    await stage.start(nodes=1)
    [connection] = [each for each in stage.app.keeper._links if not each.bulk]
    gate = connection._gate
    await stage.nodes[0].stop()
    await stage.until(lambda: connection not in stage.app.keeper._links)
    assert (connection._transport, connection._gate, connection.link) == (None, None, None)
    assert gate._transport.is_closing()
    assert connection.unsent() == 0
    connection.abort("again")  # nothing is left to drop, and that is no fault


async def test_no_circle_keeps_a_connection_that_another_has_replaced(stage):
    await stage.start(nodes=1)
    connections = [weakref.ref(each) for each in stage.app.keeper._links]
    gc.collect()
    gc.disable()
    try:
        await stage.nodes[0].stop()
        await stage.nodes[0].start()
        await stage.until(lambda: not any(connection() for connection in connections))
    finally:
        gc.enable()
    assert connections
