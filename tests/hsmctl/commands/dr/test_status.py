from dr_answers import BAD, GOOD, PROBLEM, status
from fake_cluster import FakeCluster


def tell(fake: FakeCluster, **changes: object) -> None:
    fake.proxy.keystore.dr_status = lambda _body: status(**changes)


def test_a_site_that_could_take_over_is_shown_with_exit_code_0(fake_shell, fake_cluster: FakeCluster) -> None:
    tell(fake_cluster, last=GOOD, last_good=GOOD.at)
    text = fake_shell.good("dr", "status").decode()
    assert "DR site     alps, node node-5" in text
    assert "lag         0 records, 0 s (objective 5 s)" in text
    assert "last drill  good, 2025-06-15T15:06:40+00:00: 200 used (a sample), 0 failed; 1000 records read" in text
    document = fake_shell.json("dr", "status")
    assert (document["lag_records"], document["lag_seconds"], document["problems"]) == (0, 0.0, [])
    assert (document["last_drill"]["good"], document["last_drill"]["rto_seconds"]) == (True, 1.25)
    assert document["last_good_drill"] == "2025-06-15T15:06:40+00:00"


def test_what_is_wrong_is_named_with_what_to_do_and_exit_code_1(fake_shell, fake_cluster: FakeCluster) -> None:
    tell(fake_cluster, last=BAD, problems=[PROBLEM], lag_records=None, lag_ms=90_000)
    done = fake_shell("dr", "status")
    text = done.stdout
    assert done.exit_code == 1
    assert "wrong: the last drill: a record is refused; replace this site's member" in text
    assert "last good drill  never" in text
    assert "unknown; it was complete 90 s ago" in text


def test_before_the_first_drill_it_says_when_one_comes(fake_shell, fake_cluster: FakeCluster) -> None:
    tell(fake_cluster, lag_ms=None)
    text = fake_shell.good("dr", "status").decode()
    assert "none yet; one comes every 3600 s" in text
    assert "0 records (objective 5 s)" in text
    document = fake_shell.json("dr", "status")
    assert (document["last_drill"], document["last_good_drill"], document["lag_seconds"]) == (None, None, None)


def test_a_promoted_site_lags_behind_nobody(fake_shell, fake_cluster: FakeCluster) -> None:
    tell(fake_cluster, promoted=True, state="up", epoch=2)
    text = fake_shell.good("dr", "status").decode()
    assert "epoch       2" in text
    assert "lag" not in text
