from pathlib import Path

from hsm_node.state.backup_state import FILE_NAME, BackupState, Verification


def test_a_good_verification_is_there_after_a_restart(tmp_path: Path) -> None:
    state = BackupState(tmp_path)
    assert state.last == Verification(0, 0, True)
    state.verified(2000, 1000, good=True)
    assert BackupState(tmp_path).last == Verification(2000, 1000, True)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_bad_one_is_told_and_the_last_good_one_is_remembered(tmp_path: Path) -> None:
    BackupState(tmp_path).verified(2000, 1000, good=True)
    BackupState(tmp_path).verified(3000, 0, good=False)
    assert BackupState(tmp_path).last == Verification(2000, 1000, False)


def test_a_file_that_cannot_be_read_is_as_if_there_were_none(tmp_path: Path) -> None:
    for content in (b"nonsense", b'{"verified": "yes"}', b""):
        (tmp_path / FILE_NAME).write_bytes(content)
        assert BackupState(tmp_path).last == Verification()


def test_what_cannot_be_written_is_counted_and_known_as_long_as_the_node_lives(tmp_path: Path) -> None:
    state = BackupState(tmp_path / "missing")
    state.verified(2000, 1000, good=True)
    assert (state.failures, state.last.verified) == (1, 2000)
