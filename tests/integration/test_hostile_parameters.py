"""A sample of the hostile requests that tests/hsm_node/generated makes, by hand through proxy and nodes."""

import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgpack
import pytest
from cluster import Cluster
from programs import get
from raw import Answer, RawConnection

# The generators are plain modules beside the tests of the node.
sys.path.append(str(Path(__file__).parents[1] / "hsm_node" / "generated"))

from good_requests import Good, GoodRequests, uses
from hostile_requests import HostileRequests

from hsm_wire.messages import EMPTY_BODY
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

pytestmark = pytest.mark.other_loop_in_system

OF_EACH_USE: Final = 8
"""Requests: more than 500 in all, in a few seconds."""
LEAST_REFUSED: Final = 300
MOST_TRIES: Final = 50
PAUSE_S: Final = 0.1


def answered(connection: RawConnection, opcode: int, body: bytes) -> Answer:
    """Return the answer; what the store of a busy machine had no time for is sent again, as every client does."""
    operation_id = secrets.randbits(64)
    for _ in range(MOST_TRIES):
        answer = connection.request(opcode, body, operation_id=operation_id)
        if answer.status not in (Status.STORE_UNAVAILABLE, Status.TIMEOUT):
            break
        time.sleep(PAUSE_S)
    return answer


def requests_of(connection: RawConnection) -> GoodRequests:
    """Return what makes good requests as this client."""

    def ask(opcode: int, body: bytes) -> tuple[int, bytes]:
        answer = answered(connection, opcode, body)
        return answer.status, msgpack.packb(answer.body, use_bin_type=True)

    info = connection.request(Opcode.INFO, EMPTY_BODY)
    return GoodRequests(ask, {number: usages for number, _, usages in info.body[3]})


@pytest.mark.slow
def test_what_is_wrong_with_a_request_is_told_through_the_proxy_and_the_next_one_is_done(
    shared: Cluster, count: Callable[[str, int], None]
) -> None:
    refused = 0
    with RawConnection(shared.proxy.port, shared.app) as connection:
        requests = requests_of(connection)
        hostile = HostileRequests(requests)
        for place, (mechanism, usage, family, caller_iv) in enumerate(uses()):
            good = requests.make(mechanism, usage, family, caller_iv=caller_iv)
            cases = list(hostile.of(good))
            for case in cases[place % OF_EACH_USE :: len(cases) // OF_EACH_USE]:
                answer = answered(connection, case.opcode, case.body)
                assert answer.status in case.expected, (case.name, answer.body)
                refused += case.refused
            assert works(connection, requests, good), good.name
    assert refused >= LEAST_REFUSED
    count("hostile requests refused through proxy and nodes", refused)
    assert [internal_errors(node.admin_port) for node in shared.nodes] == [0.0] * len(shared.nodes)
    assert set(shared.states().values()) == {"up"}


def works(connection: RawConnection, requests: GoodRequests, good: Good) -> bool:
    """Say whether the good request is done, where the nodes have its mechanism."""
    here = requests.offered.get(good.mechanism.number, 0) & good.usage
    return answered(connection, good.opcode, good.body()).status == (Status.OK if here else Status.MECHANISM_NOT_HERE)


def internal_errors(admin_port: int) -> float:
    """Return a node's count of errors inside."""
    lines = get(admin_port, "/metrics")[1].decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("hsm_node_internal_errors_total "))
