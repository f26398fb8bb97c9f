import msgpack
import pytest

from hsm_wire.administration import ClusterState, DrPromote, NodeState, ReadAudit, Unseal
from hsm_wire.errors import BodyError
from hsm_wire.messages import decode_body, encode_body


def test_promotion_names_the_cluster_and_is_not_forced_by_default() -> None:
    assert decode_body(DrPromote, msgpack.packb(["payments"])) == DrPromote("payments", False)
    with pytest.raises(BodyError):
        decode_body(DrPromote, b"\x90")


@pytest.mark.parametrize("limit", [0, 1001])
def test_audit_is_read_in_pages_of_1_to_1000(limit: int) -> None:
    assert decode_body(ReadAudit, b"\x90") == ReadAudit(0, 1000)
    with pytest.raises(BodyError):
        decode_body(ReadAudit, msgpack.packb([0, limit]))


def test_state_of_nodes_stands_as_arrays() -> None:
    body = ClusterState("payments", 2, [NodeState("zrh-1", "drain", 2)])
    assert msgpack.unpackb(encode_body(body)) == ["payments", 2, [["zrh-1", "drain", 2]]]


def test_a_share_of_the_master_key_is_not_shown() -> None:
    assert repr(Unseal(b"hunter2")) == "Unseal(share=<7 bytes>)"
