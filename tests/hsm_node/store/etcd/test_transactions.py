from hsm_node.store.base import Row
from hsm_node.store.etcd.messages_pb2 import Header, KeyValue, RangeResponse, ResponseOp, TxnResponse
from hsm_node.store.etcd.transactions import (
    CHECK_KEY,
    ROW_PREFIX,
    ROWS_END,
    check_in,
    found_in,
    get,
    key_of,
    name_of,
    only,
    page,
    put,
    row_of,
    watch,
    written,
)

NAME = bytes(range(32))


def refused(*pairs: KeyValue) -> TxnResponse:
    return TxnResponse(header=Header(revision=9), responses=[ResponseOp(range=RangeResponse(kvs=pairs))])


def test_keys_and_names_are_each_others_inverse_and_the_check_record_is_no_row() -> None:
    assert name_of(key_of(NAME)) == NAME
    assert name_of(CHECK_KEY) is None
    assert ROW_PREFIX <= key_of(b"") < key_of(b"\xff" * 100) < ROWS_END
    assert not ROW_PREFIX <= CHECK_KEY < ROWS_END


def test_pages_go_on_behind_the_last_key_at_one_revision() -> None:
    first, second = page(b"", 0, 100), page(key_of(NAME), 7, 100)
    assert (first.key, first.range_end, first.revision, first.limit) == (ROW_PREFIX, ROWS_END, 0, 100)
    assert (second.key, second.revision) == (key_of(NAME) + b"\0", 7)
    assert not first.serializable


def test_a_get_is_of_one_key() -> None:
    assert (get(NAME).key, get(NAME).range_end) == (NAME, b"")


def test_a_watch_is_of_everything_so_that_each_revision_shows() -> None:
    create = watch(8).create
    assert (create.key, create.range_end, create.start_revision) == (b"\0", b"\0", 8)


def test_a_put_compares_revisions_and_reads_when_it_is_refused() -> None:
    request = put(NAME, b"v", {NAME: 0, b"other": 5})
    # 0 stands for an absent key and must travel.
    assert [(c.key, c.WhichOneof("target_union"), c.mod_revision) for c in request.compare] == [
        (NAME, "mod_revision", 0),
        (b"other", "mod_revision", 5),
    ]
    assert [(op.put.key, op.put.value) for op in request.success] == [(NAME, b"v")]
    assert [op.range.key for op in request.failure] == [NAME, CHECK_KEY]
    assert put(NAME, None, {}).success[0].WhichOneof("request") == "range"


def test_a_put_may_ask_for_the_check_record_so_that_no_other_store_gets_it() -> None:
    compare = put(NAME, b"v", {NAME: 5}, b"check").compare[-1]
    assert (compare.key, compare.WhichOneof("target_union"), compare.value) == (CHECK_KEY, "value", b"check")
    answer = refused()
    assert check_in(answer) is None
    answer.responses.append(ResponseOp(range=RangeResponse(kvs=[KeyValue(key=CHECK_KEY, value=b"other")])))
    found = check_in(answer)
    assert found is not None
    assert found.value == b"other"


def test_an_answer_says_which_row_is_there_now() -> None:
    done = TxnResponse(header=Header(revision=9), succeeded=True)
    assert written(done, NAME, b"v") == Row(NAME, 9, b"v")
    theirs = KeyValue(key=key_of(NAME), mod_revision=8, value=b"w")
    assert written(refused(theirs), NAME, b"v") is None
    assert found_in(refused(theirs)) == theirs
    assert row_of(theirs) == Row(NAME, 8, b"w")


def test_a_put_whose_answer_was_lost_finds_itself() -> None:
    ours = KeyValue(key=key_of(NAME), mod_revision=8, value=b"v")
    assert written(refused(ours), NAME, b"v") == Row(NAME, 8, b"v")


def test_nothing_is_found_where_nothing_is() -> None:
    assert found_in(refused()) is None
    assert found_in(TxnResponse()) is None
    assert only(RangeResponse()) is None
    assert written(refused(), NAME, b"v") is None
