"""Which nodes answer."""

import socket

from hsm_node.net.answering import answering


async def test_a_node_answers_where_somebody_takes_a_connection_at_one_of_its_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as gone:
        taken, port = listening.getsockname()[:2], gone.getsockname()[1]
        gone.close()
        ways = {"node-2": [("127.0.0.1", port), taken], "node-1": [("127.0.0.1", port)], "node-3": []}
        assert list(await answering(ways)) == ["node-2"]
