"""Files encrypted and decrypted from the command line."""

import base64
from pathlib import Path
from types import SimpleNamespace

import pytest

from hsmctl import files


@pytest.mark.parametrize(("label", "mechanism"), [("aes", "aes-gcm"), ("rsa", "rsa-oaep")])
@pytest.mark.parametrize("plain", [b"", b"hello"])
def test_what_was_encrypted_is_decrypted(shell, tmp_path: Path, label: str, mechanism: str, plain: bytes) -> None:
    (tmp_path / "plain").write_bytes(plain)
    names = ["--key", label, "--mechanism", mechanism]
    shell.good("encrypt", *names, "--in", tmp_path / "plain", "--out", tmp_path / "secret")
    shell.good("decrypt", *names, "--in", tmp_path / "secret", "--out", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == plain


@pytest.mark.parametrize(
    ("key_type", "mechanism", "more"),
    [
        ("aes-256", "aes-cbc", 16),
        ("aes-256", "aes-cbc-pad", 32),
        ("aes-256", "aes-ctr", 16),
        ("rsa-2048", "rsa-pkcs1", 256 - 32),
    ],
)
def test_ciphers_without_authentication_write_their_iv_first(
    fake_shell, tmp_path: Path, key_type: str, mechanism: str, more: int
) -> None:
    fake_shell.good("key", "generate", "--type", key_type, "--label", "store")
    names = ["--key", "store", "--mechanism", mechanism, "--in", "-"]
    secret = fake_shell.good("encrypt", *names, data=bytes(range(32)))
    assert len(secret) == 32 + more
    assert fake_shell.good("decrypt", *names, data=secret) == bytes(range(32))
    assert "goes with aes-gcm" in fake_shell.bad(2, "encrypt", *names, "--aad", tmp_path / "any", data=b"x")


@pytest.mark.parametrize(("mechanism", "length"), [("aes-cbc-pad", 31), ("aes-ctr", 15), ("aes-gcm", 27)])
def test_what_is_shorter_than_encrypt_ever_writes_is_refused(fake_shell, mechanism: str, length: int) -> None:
    names = ["--key", "any", "--mechanism", mechanism, "--in", "-"]
    assert "too short" in fake_shell.bad(2, "decrypt", *names, data=bytes(length))


def test_data_that_is_no_whole_number_of_blocks_is_a_wrong_file_for_cbc(fake_shell) -> None:
    fake_shell.good("key", "generate", "--type", "aes-256", "--label", "store")
    fake_shell.bad(2, "encrypt", "--key", "store", "--mechanism", "aes-cbc", "--in", "-", data=b"short")


def test_what_an_earlier_version_encrypted_is_decrypted(fake_shell) -> None:
    fake_shell.good("key", "generate", "--type", "aes-256", "--label", "store")
    secret = fake_shell.good("encrypt", "--key", "store", "--in", "-", data=b"hello")
    fake_shell.good("key", "rotate", "store")
    assert fake_shell.good("decrypt", "--key", "store", "--in", "-", data=secret) == b"hello"


def test_a_gcm_file_is_iv_ciphertext_and_tag(shell) -> None:
    secret = shell.good("encrypt", "--key", "aes", "--in", "-", data=b"hello")
    assert len(secret) == 12 + 5 + 16
    assert shell.good("decrypt", "--key", "aes", "--in", "-", data=secret) == b"hello"


def test_with_json_the_data_is_in_the_json(shell) -> None:
    secret = base64.b64decode(shell.json("encrypt", "--key", "aes", "--in", "-", data=b"hello")["data"])
    made = shell.json("decrypt", "--key", "aes", "--in", "-", data=secret)
    assert base64.b64decode(made["data"]) == b"hello"


def test_additional_data_must_be_the_same(shell, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"2")
    secret = shell.good("encrypt", "--key", "aes", "--in", "-", "--aad", tmp_path / "one", data=b"hello")
    decrypt = ["decrypt", "--key", "aes", "--in", "-", "--aad"]
    assert shell.good(*decrypt, tmp_path / "one", data=secret) == b"hello"
    shell.bad(1, *decrypt, tmp_path / "two", data=secret)
    assert "standard input" in shell.bad(2, *decrypt, "-", data=secret)


@pytest.mark.parametrize("size", [2 << 20, 17 << 20])
def test_a_file_above_the_frame_is_one_line_with_a_way_out(shell, tmp_path: Path, size: int) -> None:
    with (tmp_path / "data").open("wb") as file:
        file.truncate(size)
    for command in ("encrypt", "decrypt"):
        line = shell.bad(2, command, "--key", "aes", "--in", tmp_path / "data", "--out", tmp_path / "out")
        assert "one request cannot carry; " in line
    assert not (tmp_path / "out").exists()


def test_what_encrypt_never_wrote_is_refused(shell) -> None:
    assert "too short" in shell.bad(2, "decrypt", "--key", "aes", "--in", "-", data=b"")
    shell.bad(1, "decrypt", "--key", "aes", "--in", "-", data=bytes(40))


def test_ciphertext_goes_to_a_terminal_only_if_that_is_said(shell, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(files, "sys", terminal)
    assert "--out -" in shell.bad(2, "encrypt", "--key", "aes", "--in", __file__)


def test_what_is_too_long_for_rsa_is_a_wrong_file(shell) -> None:
    shell.bad(2, "encrypt", "--key", "rsa", "--mechanism", "rsa-oaep", "--in", __file__)


def test_a_file_that_cannot_be_written_and_a_wrong_key_are_one_line(shell, tmp_path: Path) -> None:
    encrypt = ["encrypt", "--in", "-", "--key"]
    assert "check the path" in shell.bad(2, *encrypt, "aes", "--out", tmp_path, data=b"x")
    assert "mechanism" in shell.bad(1, *encrypt, "p256", data=b"x")
    assert "hsmctl key list" in shell.bad(1, *encrypt, "none", data=b"x")


def test_a_key_not_meant_for_it_encrypts_nothing_and_the_error_says_where_to_look(shell) -> None:
    key_id = shell.good("key", "generate", "--type", "rsa-2048").decode().strip()
    line = shell.bad(1, "encrypt", "--key", key_id, "--mechanism", "rsa-oaep", "--in", "-", data=b"x")
    assert "hsmctl key show" in line
