import pytest
from dr_answers import BAD, GOOD, status
from fake_cluster import FakeCluster


@pytest.fixture(autouse=True)
def dr_node(fake_cluster: FakeCluster) -> None:
    """Have a node of the DR site that can be reached."""
    fake_cluster.proxy.keystore.dr_status = lambda _body: status()


def test_a_good_drill_says_what_was_served_and_how_fast(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.keystore.dr_drill = lambda _body: GOOD
    text = fake_shell.good("dr", "drill").decode()
    assert "result  good" in text
    assert "RTO     1.25 s" in text
    assert "RPO     0 records, 0 s" in text
    assert "served  ec-p256: sign, verify" in text
    assert fake_shell.json("dr", "drill")["kinds"] == ["ec-p256: sign, verify"]


def test_a_fault_is_named_with_exit_code_1(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.keystore.dr_drill = lambda _body: BAD
    done = fake_shell("dr", "drill")
    text = done.stdout
    assert done.exit_code == 1
    assert "result  NOT good" in text
    assert "RTO     not everything was served" in text
    assert "RPO     unknown" in text
    assert "fault   a record is refused" in text


def test_a_cluster_without_a_dr_site_refuses_with_a_reason(shell) -> None:
    for command in ("drill", "status"):
        assert "has no DR site; name one in cluster.toml" in shell.bad(1, "dr", command)
