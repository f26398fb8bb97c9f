"""A secret in a file or credential."""

from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.secret_file import CREDENTIALS_DIRECTORY, check_credential, credential_place, file_place, read_secret


def test_a_private_file_is_read_and_an_open_or_missing_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"content")
    path.chmod(0o600)
    assert read_secret(file_place(path), "PIN", 4) == b"cont"
    path.chmod(0o640)
    with pytest.raises(StartError, match="the PIN is open to others"):
        read_secret(file_place(path), "PIN", 4)
    with pytest.raises(StartError, match="check the file"):
        read_secret(file_place(tmp_path / "none"), "PIN", 4)


def test_a_credential_lies_where_systemd_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CREDENTIALS_DIRECTORY, raising=False)
    with pytest.raises(StartError, match="LoadCredential=pin:PATH"):
        credential_place("pin")
    monkeypatch.setenv(CREDENTIALS_DIRECTORY, str(tmp_path))
    (tmp_path / "pin").write_bytes(b"1234")
    assert read_secret(credential_place("pin"), "PIN", 100) == b"1234"


def test_a_credential_s_name_has_no_folder() -> None:
    check_credential(None)
    for name in ("", "..", "a/b"):
        with pytest.raises(ValueError, match="LoadCredential"):
            check_credential(name)
