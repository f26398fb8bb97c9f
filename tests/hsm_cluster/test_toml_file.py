"""Files and their mistakes."""

import os
from pathlib import Path

import msgspec
import pytest

from hsm_cluster.address import Address
from hsm_cluster.errors import ConfigurationError
from hsm_cluster.toml_file import MAX_FILE_BYTES, load_toml


class Form(msgspec.Struct, forbid_unknown_fields=True):
    listen: Address
    file: Path
    count: int = 1


GOOD = 'listen = "127.0.0.1:1"\nfile = "x/ca.pem"\n'


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    form = load_toml(tmp_path / "a.toml", Form)
    assert form.file == tmp_path / "x" / "ca.pem"
    assert form.listen == Address("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD + "colour = 1", "unknown key 'colour'; remove it"),
        ('file = "x"', "key 'listen' is missing; add it"),
        (GOOD + 'count = "1"', "key count: expected int, got str"),
        (GOOD.replace(":1", ""), "key listen: '127.0.0.1' has no port"),
        (GOOD.replace('"127.0.0.1:1"', "5"), "key listen: expected text, got int"),
        ("listen = ", "not valid TOML"),
        ("x = " + "[" * 5000, "not valid TOML"),
        ("#" * (MAX_FILE_BYTES + 1), "larger than"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_toml(path, Form)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        load_toml(tmp_path / "none.toml", Form)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_toml(tmp_path, Form)
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_toml(tmp_path / "latin", Form)


def test_a_pipe_in_the_place_of_a_file_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (tmp_path / "pipe.toml", Path("/dev/zero")):
        with pytest.raises(ConfigurationError, match="not an ordinary file; name one"):
            load_toml(path, Form)


def test_a_number_of_too_many_digits_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("a = " + "9" * 5000)
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        load_toml(path, dict)


def test_a_zero_byte_in_a_file_name_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"a\\x00b: not a file name"):
        load_toml(tmp_path / "a\0b", dict)
