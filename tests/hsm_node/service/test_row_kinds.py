"""The table of kinds."""

import msgspec
import pytest

from hsm_node.service.row_kinds import RowKinds
from hsm_node.store.base import Row


class RecordOfNothing:
    order = 0


class Kind:
    """A kind that remembers what it was told to forget."""

    noun = "thing"

    def __init__(self, *formats: int) -> None:
        self.formats = formats
        self.forgotten: list[bytes] = []

    def open(self, row: Row) -> RecordOfNothing:
        raise NotImplementedError

    def known(self, record: RecordOfNothing) -> Row | None:
        raise NotImplementedError

    def take(self, record: RecordOfNothing, row: Row) -> Row:
        raise NotImplementedError

    def forget(self, name: bytes) -> None:
        self.forgotten.append(name)


def row(data: object) -> Row:
    return Row(b"n" * 32, 1, msgspec.msgpack.encode(data))


def test_a_row_is_of_the_kind_whose_format_it_names() -> None:
    one, two = Kind(1, 3), Kind(2)
    kinds = RowKinds(one, two)
    assert [kinds.of(row([number, b"", b""])) for number in (1, 2, 3)] == [one, two, one]


def test_a_row_of_no_kind_has_none() -> None:
    kinds = RowKinds(Kind(1, 3))
    assert [kinds.of(row(data)) for data in ([9, b"", b""], [1], "text", None)] == [None] * 4
    assert kinds.of(Row(b"n" * 32, 1, b"")) is None


def test_two_kinds_of_one_format_are_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="two kinds of rows have the format 3"):
        RowKinds(Kind(1, 3), Kind(2, 3))


def test_a_name_is_forgotten_by_each_kind() -> None:
    one, two = Kind(1), Kind(2)
    RowKinds(one, two).forget(b"n")
    assert one.forgotten == two.forgotten == [b"n"]
