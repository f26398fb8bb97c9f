import msgpack
import pytest

from hsm_wire.backup_messages import MAX_CHOSEN, BackupPart, CreateBackup, RestoreBackup, RestoreChoice, VerifyBackup
from hsm_wire.errors import BodyError
from hsm_wire.messages import decode_body


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
