"""What all should have alike."""

from reports import answer, report

from hsmctl.doctor.agreement import cluster_findings, hash_findings, version_findings


def test_other_versions_are_said_with_who_runs_them() -> None:
    seen = {"proxy p": "0.1.0", "node b": "0.2.0", "node a": "0.2.0"}
    [found] = version_findings("0.1.0", seen)
    assert (found.severity, found.subject) == ("warning", "node a, node b")
    assert found.wrong == "runs 0.2.0, this hsmctl is 0.1.0"
    assert version_findings("0.1.0", {"proxy p": "0.1.0"}) == []


def test_proxies_with_another_cluster_file_are_named_beside_those_of_the_majority() -> None:
    answers = [
        answer(port=port, configuration_hash=value) for port, value in ((1, "a" * 64), (2, "b" * 64), (3, "a" * 64))
    ]
    [found] = hash_findings(answers)
    assert found.subject == "proxy 10.0.0.1:2"
    assert (
        found.wrong
        == "its cluster.toml (bbbbbbbbbbbb) is not that of proxy 10.0.0.1:1, proxy 10.0.0.1:3 (aaaaaaaaaaaa)"
    )
    assert hash_findings(answers[::2]) == []


def test_the_cluster_file_of_this_host_is_compared_too() -> None:
    [found] = hash_findings([answer(port=1), answer(port=2)], {"/etc/redoubt/proxy.toml": "c" * 64})
    assert found.subject == "/etc/redoubt/proxy.toml"
    assert hash_findings([answer()], {"/etc/redoubt/proxy.toml": "ab" * 32}) == []


def test_proxies_of_different_clusters_are_found() -> None:
    assert cluster_findings([answer(), answer(port=2)]) == []
    [found] = cluster_findings([answer(), answer(report(cluster="other"), port=2), answer(result=None)])
    assert "proxy 10.0.0.1:2: other, proxy 10.0.0.1:2410: payments" in found.wrong
