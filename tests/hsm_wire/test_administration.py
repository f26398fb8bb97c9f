import msgpack
import pytest

from hsm_wire.administration import (
    MAX_CHOSEN,
    BackupPart,
    ClusterState,
    CreateBackup,
    DrPromote,
    NodeState,
    ReadAudit,
    RestoreBackup,
    RestoreChoice,
    Unseal,
    VerifyBackup,
)
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


def test_a_backup_is_begun_by_an_empty_body_and_parts_are_binary() -> None:
    assert decode_body(CreateBackup, b"\x90") == CreateBackup(b"")
    assert decode_body(VerifyBackup, msgpack.packb([[2, b"body", b"mac"]])) == VerifyBackup(
        BackupPart(2, b"body", b"mac"), 0, 0
    )
    with pytest.raises(BodyError):
        decode_body(VerifyBackup, msgpack.packb([[2, "text", b"mac"]]))


def test_a_choice_is_everything_unless_it_names_something_and_names_no_more_than_a_frame_has_room_for() -> None:
    body = decode_body(RestoreBackup, msgpack.packb([[1, b"", b""]]))
    assert body == RestoreBackup(BackupPart(1, b"", b""), 0, False, RestoreChoice([], 0, [], []))
    names = ["k"] * MAX_CHOSEN
    assert decode_body(RestoreChoice, msgpack.packb([names])).names == names
    with pytest.raises(BodyError):
        decode_body(RestoreChoice, msgpack.packb([[*names, "one more"]]))


def test_a_share_of_the_master_key_is_not_shown() -> None:
    assert repr(Unseal(b"hunter2")) == "Unseal(share=<7 bytes>)"
