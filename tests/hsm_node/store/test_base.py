from hsm_node.store.base import Row


def test_rows_are_values() -> None:
    assert Row(b"n", 1, b"d") == Row(b"n", 1, b"d")
