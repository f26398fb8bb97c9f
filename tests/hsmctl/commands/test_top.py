"""top where there is no terminal; on one it is tested in tests/hsmctl/top."""

from fake_cluster import FakeCluster
from reports import down, report

from hsm_wire.statuses import Status


def test_without_a_terminal_it_says_what_to_use(fake_shell) -> None:
    assert "hsmctl status" in fake_shell.bad(2, "top")


def test_its_json_is_that_of_status_once(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.script.append((Status.OK, report()))
    document = fake_shell.json("top")
    assert (document["health"], len(document["nodes"])) == ("serving", 2)
    fake_cluster.proxy.script.append((Status.OK, report(down("a"), health="down")))
    assert fake_shell("top", "--json").exit_code == 3
