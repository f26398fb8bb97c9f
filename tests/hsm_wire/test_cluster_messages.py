import msgpack
import pytest

from hsm_wire.cluster_messages import Check, NodeReport, PathReport, Random, StatusResult
from hsm_wire.errors import BodyError
from hsm_wire.forms import decode_body, encode_body
from hsm_wire.limits import MAX_RANDOM_BYTES


def test_a_status_is_arrays_in_arrays() -> None:
    node = NodeReport("n", "s", "up", "ready", "", 1, 0, 8, 5, 0, [PathReport("isp-a", "up")])
    array = msgpack.unpackb(encode_body(StatusResult("p", "s", "c", "x", 1, 2, [node])))
    assert array[-1] == [["n", "s", "up", "ready", "", 1, 0, 8, 5, 0, [["isp-a", "up"]], "", False]]


def test_a_report_of_a_proxy_that_compares_no_stores_is_taken() -> None:
    node = decode_body(NodeReport, msgpack.packb(["n", "s", "up", "ready", "", 1, 0, 8, 5, 0, []]))
    assert (node.store_fault, node.outdated) == ("", False)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_challenge_has_32_bytes(length: int) -> None:
    with pytest.raises(BodyError):
        decode_body(Check, msgpack.packb([bytes(length)]))


@pytest.mark.parametrize("length", [0, -1, MAX_RANDOM_BYTES + 1])
def test_random_is_bounded(length: int) -> None:
    with pytest.raises(BodyError):
        decode_body(Random, msgpack.packb([length]))
