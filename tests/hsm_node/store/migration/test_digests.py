from hsm_node.store.base import Row
from hsm_node.store.migration.digests import differences, digest_of_all, digests_of

ROWS = [Row(b"a" * 32, 5, b"one"), Row(b"b" * 32, 6, b"two")]


def test_revisions_and_order_do_not_matter() -> None:
    others = [Row(row.name, row.revision + 100, row.data) for row in reversed(ROWS)]
    assert digest_of_all(digests_of(ROWS)) == digest_of_all(digests_of(others))


def test_names_and_contents_do() -> None:
    whole = digest_of_all(digests_of(ROWS))
    changed = [Row(b"b" * 32, 5, b"one"), Row(b"a" * 32, 6, b"two")]
    for other in (ROWS[:1], changed, [ROWS[0], Row(b"b" * 32, 6, b"2")]):
        assert digest_of_all(digests_of(other)) != whole


def test_each_row_that_differs_is_counted_once() -> None:
    other = [Row(b"a" * 32, 1, b"1"), Row(b"c" * 32, 2, b"3")]
    assert differences(digests_of(ROWS), digests_of(other)) == 3
    assert differences(digests_of(ROWS), digests_of(ROWS)) == 0
