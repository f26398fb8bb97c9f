"""Everything that doctor looks at, in its order."""

from pathlib import Path

from fake_cluster import FakeCluster
from reports import down, node, report

from hsm_wire.statuses import Status
from hsmctl.doctor.examining import examine
from hsmctl.doctor.finding import Examination


def by_check(examinations: list[Examination]) -> dict[str, list[str]]:
    return {each.check: [found.wrong for found in each.findings] for each in examinations}


def configured(tmp_path: Path, *proxies: str) -> str:
    path = tmp_path / "client.toml"
    path.write_text(f'proxies = {list(proxies)!r}\ntls = "off"\n')
    return str(path)


def test_a_client_toml_that_cannot_be_used_is_the_finding_and_leaves_the_rest_out(tmp_path: Path) -> None:
    first, *rest = examine(str(tmp_path / "none.toml"), None, None, [])
    assert [found.wrong for found in first.findings] == [f"{tmp_path / 'none.toml'} does not exist"]
    assert {each.left_out for each in rest} == {"client.toml cannot be used"}


def test_every_check_has_its_place_and_faults_land_there(tmp_path: Path, fake_cluster: FakeCluster) -> None:
    proxy = fake_cluster.proxy
    proxy.keystore.status = lambda body: report(node("node-1"), down("b"))  # type: ignore[method-assign]
    address = proxy.address
    seen = examine(configured(tmp_path, address, address, "127.0.0.1:1"), None, 2.0, [])
    assert [each.check for each in seen] == [
        "configuration", "certificates", "proxies", "clocks", "versions", "nodes", "paths", "store", "load", "problems"
    ]  # fmt: skip
    found = by_check(seen)
    assert found["configuration"] == [f"it names proxy {address} twice"]
    assert found["proxies"] == ["nothing listens there"]
    assert "its clock is" in found["clocks"][0]
    assert found["nodes"] == ["node-1 is the only node that serves", "it is down: connection refused"]


def test_without_any_proxy_the_rest_is_not_looked_at(tmp_path: Path) -> None:
    seen = examine(configured(tmp_path, "127.0.0.1:1"), None, 2.0, [])
    assert [each.left_out for each in seen[3:]] == ["no proxy answers"] * 7


def test_a_proxy_that_refuses_is_a_finding(tmp_path: Path, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.script.append(Status.DENIED)
    seen = by_check(examine(configured(tmp_path, fake_cluster.proxy.address), None, 2.0, []))
    assert len(seen["proxies"]) == 1


def test_certificates_that_cannot_be_used_are_findings_and_nobody_is_asked(
    tmp_path: Path, fake_cluster: FakeCluster
) -> None:
    path = tmp_path / "client.toml"
    path.write_text(f'proxies = ["{fake_cluster.proxy.address}"]\nca = "a"\ncertificate = "b"\nkey = "c"\n')
    seen = examine(str(path), None, 2.0, [])
    assert len(by_check(seen)["certificates"]) == 3
    assert {each.left_out for each in seen[2:]} == {"the certificates cannot be used"}
    assert fake_cluster.proxy.accepted == 0


def test_a_host_adds_its_files_and_ports(tmp_path: Path) -> None:
    seen = examine(configured(tmp_path, "127.0.0.1:1"), None, 2.0, [tmp_path])
    assert [each.check for each in seen[-2:]] == ["files", "ports"]
    assert "no proxy.toml or node.toml" in by_check(seen)["configuration"][0]
