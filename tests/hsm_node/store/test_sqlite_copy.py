import sqlite3
from pathlib import Path

import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.store.base import StoreError
from hsm_node.store.sqlite import SqliteStore
from hsm_node.store.sqlite_copy import FileCopy


@pytest.fixture
def path(tmp_path: Path, keyring: Keyring) -> Path:
    SqliteStore(tmp_path / "store.db", "dev", keyring).close()
    return tmp_path / "store.db"


def test_a_file_that_is_gone_or_none_is_told(tmp_path: Path, keyring: Keyring) -> None:
    copy = FileCopy(tmp_path / "store.db", bytes(16))
    (tmp_path / "other.db").write_bytes(b"x" * 5000)
    for wrong in (copy, FileCopy(tmp_path / "other.db", bytes(16))):
        for ask in (wrong.newest, wrong.revision, lambda c=wrong: c.page(b"", 0)):
            with pytest.raises(StoreError, match="cannot be read"):
                ask()
        with pytest.raises(StoreError, match="cannot be read"):
            wrong.master_key_version(keyring)


def test_what_is_no_row_is_given_as_one_that_nobody_takes(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO records VALUES (x'01', 'odd', 'text')")
    connection.commit()
    connection.close()
    (row,) = FileCopy(path, bytes(16)).page(b"", 0).rows
    assert (row.name, row.revision, row.data) == (b"\x01", 0, b"")


def test_another_store_s_check_record_is_no_answer(path: Path, keyring: Keyring) -> None:
    with pytest.raises(StoreError, match="another store"):
        FileCopy(path, bytes(16)).master_key_version(keyring)
