import pytest

from hsm_node.store.etcd.faults import MAX_TEXT, Meaning, fault_of


@pytest.mark.parametrize(
    ("code", "details", "meaning"),
    [
        ("UNAVAILABLE", "etcdserver: no leader", Meaning.NOT_DONE),
        ("UNAVAILABLE", "failed to connect to all addresses; last error: refused", Meaning.NOT_DONE),
        ("UNAVAILABLE", "Ssl handshake failed: CERTIFICATE_VERIFY_FAILED: certificate has expired", Meaning.NOT_DONE),
        ("UNAVAILABLE", "etcdserver: request timed out", Meaning.IN_DOUBT),
        ("UNAVAILABLE", "etcdserver: leader changed", Meaning.IN_DOUBT),
        ("UNAVAILABLE", "Socket closed", Meaning.IN_DOUBT),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", Meaning.IN_DOUBT),
        ("CANCELLED", "Channel closed!", Meaning.IN_DOUBT),
        ("UNKNOWN", "", Meaning.IN_DOUBT),
        ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted", Meaning.COMPACTED),
        ("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision", Meaning.FINAL),
        ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", Meaning.HALTED),
        ("RESOURCE_EXHAUSTED", "etcdserver: too many requests", Meaning.IN_DOUBT),
        ("INVALID_ARGUMENT", "etcdserver: request is too large", Meaning.FINAL),
        ("PERMISSION_DENIED", "etcdserver: permission denied", Meaning.FINAL),
        ("DATA_LOSS", "etcdserver: corrupt cluster", Meaning.HALTED),
    ],
)
def test_an_error_means_done_not_done_or_in_doubt(code: str, details: str, meaning: Meaning) -> None:
    assert fault_of(code, details).meaning is meaning


@pytest.mark.parametrize("said", ["database space exceeded", "request is too large", "corrupt cluster"])
def test_where_an_operator_must_act_the_text_says_how(said: str) -> None:
    assert ": " in fault_of("UNKNOWN", f"etcdserver: {said}").text.removesuffix(f"(etcdserver: {said})")


def test_a_members_text_is_cut() -> None:
    assert len(fault_of("UNKNOWN", "x" * 10_000).text) < 2 * MAX_TEXT
