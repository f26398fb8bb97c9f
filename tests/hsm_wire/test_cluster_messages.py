import msgpack
import pytest

from hsm_wire.cluster_messages import Check, Events, NodeReport, PathReport, Random, StatusResult
from hsm_wire.errors import BodyError
from hsm_wire.forms import decode_body, encode_body
from hsm_wire.limits import MAX_EVENTS_LIMIT, MAX_RANDOM_BYTES


def test_a_status_is_arrays_in_arrays() -> None:
    node = NodeReport("n", "s", "up", "ready", "", 1, 0, 8, 5, 0, [PathReport("isp-a", "up")])
    array = msgpack.unpackb(encode_body(StatusResult("p", "s", "c", "x", 1, 2, [node])))
    (found,) = array[6]
    assert found[:13] == ["n", "s", "up", "ready", "", 1, 0, 8, 5, 0, [["isp-a", "up", ""]], "", False]


def test_a_report_of_a_proxy_that_compares_no_stores_is_taken() -> None:
    node = decode_body(NodeReport, msgpack.packb(["n", "s", "up", "ready", "", 1, 0, 8, 5, 0, []]))
    assert (node.store_fault, node.outdated, node.share, node.p50_ms) == ("", False, 0.0, None)


def test_a_status_of_a_proxy_that_keeps_no_rates_is_taken() -> None:
    status = decode_body(StatusResult, msgpack.packb(["p", "s", "c", "x", 1, 2, []]))
    assert (status.health, status.problems, status.p99_ms, status.sites) == ("", [], None, [])


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0])
def test_a_rate_is_a_number(rate: float) -> None:
    with pytest.raises(BodyError):
        decode_body(NodeReport, msgpack.packb(["n", "s", "up", "ready", "", 1, 0, 8, 5, 0, [], "", False, rate]))


@pytest.mark.parametrize("limit", [0, MAX_EVENTS_LIMIT + 1])
def test_events_are_asked_for_in_bounded_numbers(limit: int) -> None:
    with pytest.raises(BodyError):
        decode_body(Events, msgpack.packb([0, limit]))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_challenge_has_32_bytes(length: int) -> None:
    with pytest.raises(BodyError):
        decode_body(Check, msgpack.packb([bytes(length)]))


@pytest.mark.parametrize("length", [0, -1, MAX_RANDOM_BYTES + 1])
def test_random_is_bounded(length: int) -> None:
    with pytest.raises(BodyError):
        decode_body(Random, msgpack.packb([length]))
