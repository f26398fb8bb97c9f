"""The file is the node's own user's, wherever it lies, and does not outlive the node."""

import os
import socket
import stat
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.net.local_socket import FILE_NAME, local_socket, peer_uid


def test_the_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with local_socket(tmp_path / "state"):
            mode = (tmp_path / "state" / FILE_NAME).stat().st_mode
            assert stat.S_ISSOCK(mode)
            assert stat.S_IMODE(mode) == 0o600
            assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    finally:
        os.umask(before)
    assert not (tmp_path / "state" / FILE_NAME).exists()


def test_a_path_longer_than_an_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 150)
    with local_socket(folder):
        assert (folder / FILE_NAME).exists()


def test_what_a_killed_node_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / FILE_NAME))
    with local_socket(tmp_path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / FILE_NAME))


def test_a_second_node_in_the_same_folder_is_refused_and_the_first_keeps_its_file(tmp_path: Path) -> None:
    with local_socket(tmp_path):
        with pytest.raises(StartError, match="another hsm-node uses this state_dir"), local_socket(tmp_path):
            pass
        assert (tmp_path / FILE_NAME).exists()


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="state_dir cannot be used"), local_socket(tmp_path / "file" / "state"):
        pass
    (tmp_path / "other" / FILE_NAME).mkdir(parents=True)
    with pytest.raises(StartError, match=r"admin\.sock"), local_socket(tmp_path / "other"):
        pass


def test_a_file_that_is_gone_already_is_no_matter(tmp_path: Path) -> None:
    with local_socket(tmp_path):
        (tmp_path / FILE_NAME).unlink()


def test_the_peer_is_whom_the_kernel_says() -> None:
    one, two = socket.socketpair(socket.AF_UNIX)
    with one, two:
        assert peer_uid(one) == os.geteuid()
