"""Each rule of cluster.toml, broken."""

import tomllib

import msgspec
import pytest

from hsm_cluster.address import Address
from hsm_cluster.rules import violations
from hsm_cluster.topology import Topology


def check(text: str) -> list[str]:
    return violations(msgspec.convert(tomllib.loads(text), Topology, dec_hook=lambda _, value: Address.parse(value)))


def test_a_good_file_breaks_no_rule(economy: str) -> None:
    assert check(economy) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"economy"', '"gold"', "package 'gold' is unknown"),
        ('name = "payments"', 'name = "Pay"', "cluster name 'Pay'"),
        ('name = "zrh-1"', 'name = "z 1"', "node name 'z 1'"),
        ('name = "zrh-1"', 'name = "gva-1"', "node 'gva-1' is there twice"),
        ("id = 1\n", "id = 0\n", "id 0 is not in 1.."),
        ("weight = 2", "weight = 0", "weight 0 is not in 1..1000"),
        ('site = "zurich"', 'site = "bern"', "unknown site 'bern'"),
        ("192.0.2.11:2420", "192.0.2.10:2420", "address 192.0.2.10:2420 is there twice"),
        (
            "192.0.2.11:2420",
            "[::ffff:192.0.2.10]:2420",
            "2.10:2420 and as [::ffff:192.0.2.10]:2420 is there twice",
        ),
        ('name = "gva-1"', 'name = "ZRH-1"', "nodes 'ZRH-1', 'zrh-1' differ in case only"),
        ('name = "geneva"', 'name = "Zurich"', "sites 'Zurich', 'zurich' differ in case only"),
        ("192.0.2.11:2420", "192.0.2.11:0", "port 0 in 192.0.2.11:0"),
        ('"isp-a", address = "192.0.2.11', '"isp-z", address = "192.0.2.11', "'isp-z', which is no uplink of site"),
        ('"isp-b", address = "198', '"isp-a", address = "198', "two paths over uplink 'isp-a'"),
        ('[{ uplink = "isp-a", address = "192.0.2.12:2420" }]', "[]", "node 'dr-1' has no path"),
        ("id = 1\n", "id = 1\nstored_keys = 5\n", "'card-issuing' has quotas of its own: package economy"),
        ("payments/client/issuer", "other/client/issuer", "must be spiffe://payments/client/NAME"),
        ("payments/client/issuer", "payments/client/a/b", "must be spiffe://payments/client/NAME"),
        ("payments/operator/olga", "payments/proxy/olga", "must be spiffe://payments/operator/NAME"),
        ('["use", "manage"]', '["operate"]', "unknown role 'operate'"),
        ('["use", "manage"]', "[]", "has no role"),
        ('role = "disaster-recovery"\n', "", "no disaster-recovery site"),
        ('site = "geneva"', 'site = "alps"', "1 active nodes: package economy needs at least 2"),
        ('site = "geneva"', 'site = "zurich"', "site 'geneva' has no node"),
        ('"CH-GE"', '"CH-ZH"', "sites geneva, zurich share the risk zone 'CH-ZH'"),
        ('"CH-GE"', '"ch-zh "', "sites geneva, zurich share the risk zone 'CH-ZH', 'ch-zh '"),
        ('"CH-GE"', '"  "', "site 'geneva' has no risk_zone"),
        ('risk_zone = "CH-GE"\n', "", "site 'geneva' has no risk_zone"),
        ("latitude = 46.2044\n", "", "site 'geneva' has no latitude"),
        ("latitude = 46.2044\n", "latitude = 91\n", "latitude 91.0 is not in -90..90"),
        ("46.2044\nlongitude = 6.1432", "47.4\nlongitude = 8.5", "active sites geneva, zurich are 4.0 km apart"),
        (
            "46.6\nlongitude = 8.0",
            "47.4\nlongitude = 8.5",
            "disaster-recovery site 'alps' is 4.0 km from site 'zurich'",
        ),
        (
            'uplinks = ["isp-a", "isp-b"]\n[[nodes]]',
            'uplinks = ["isp-a"]\n[[nodes]]',
            "has 1 uplink: it needs 2",
        ),
        (
            'uplinks = ["isp-a", "isp-b"]\n[[nodes]]',
            'uplinks = ["isp-a", "ISP-A "]\n[[nodes]]',
            "has 1 uplink: it needs 2",
        ),
    ],
)
def test_each_violation_is_named(economy: str, old: str, new: str, expected: str) -> None:
    assert old in economy
    found = check(economy.replace(old, new, 1))
    assert any(expected in one for one in found), found


@pytest.mark.parametrize(
    ("old", "new", "number"),
    [('role = "disaster-recovery"\n', "", 0), ('name = "geneva"', 'name = "geneva"\nrole = "disaster-recovery"', 2)],
)
def test_durability_dr_needs_one_recovery_site(economy: str, old: str, new: str, number: int) -> None:
    text = economy.replace('"economy"', '"economy"\ndurability = "dr"')
    assert check(text) == []
    said = f'durability "dr" with {number} disaster-recovery sites: have one, or leave durability out'
    assert said in check(text.replace(old, new, 1))


def test_all_violations_come_at_once(economy: str) -> None:
    assert len(check(economy.replace('"CH-GE"', '"CH-ZH"').replace("weight = 2", "weight = 0"))) == 2


def test_more_than_four_active_nodes_need_the_package_dedicated(economy: str) -> None:
    more = "".join(
        f'[[nodes]]\nname = "n{i}"\nsite = "zurich"\npaths = [{{ uplink = "isp-a", address = "192.0.2.9:{i}" }}]\n'
        for i in range(1, 4)
    )
    assert check(economy + more) == ["5 active nodes: package economy allows at most 4"]
    assert check((economy + more).replace("economy", "dedicated")) == []


def test_a_sandbox_needs_one_node_and_no_place() -> None:
    text = '[cluster]\nname = "dev"\npackage = "sandbox"\n[[sites]]\nname = "local"\n'
    assert check(text) == ["0 active nodes: package sandbox needs at least 1"]
    text += '[[nodes]]\nname = "n"\nsite = "local"\npaths = [{ uplink = "lo", address = "127.0.0.1:1" }]\n'
    assert check(text) == []


def test_a_sandbox_has_no_disaster_recovery_site(economy: str) -> None:
    found = check(economy.replace('"economy"', '"sandbox"'))
    assert found == ["disaster-recovery site 'alps': package sandbox has none; remove it"]


def test_partitions_of_a_dedicated_cluster_may_have_quotas_of_their_own(economy: str) -> None:
    agreed = "id = 1\nsignatures_per_minute = 90\nkey_generations_per_second = 2\nstored_keys = 50\n"
    assert check(economy.replace('"economy"', '"dedicated"').replace("id = 1\n", agreed)) == []


def test_a_distance_is_not_rounded_up_to_what_would_be_enough(economy: str) -> None:
    near = economy.replace("46.2044\nlongitude = 6.1432", "47.1972\nlongitude = 8.5417")
    assert any("are 19.9 km apart: two of them must be 20 km or more apart" in one for one in check(near)), check(near)


def test_an_identity_belongs_to_one_partition(economy: str) -> None:
    client = '{ identity = "spiffe://payments/client/issuer", roles = ["use"] }'
    second = f'[[partitions]]\nid = 1\nname = "two"\nclients = [{client}]'
    found = check(f"{economy}\n{second}")
    assert any("belongs to one partition" in one for one in found)
    assert any("partition id 1 is there twice" in one for one in found)


def test_one_active_site_is_too_few(economy: str) -> None:
    found = check(economy.replace('name = "geneva"\n', 'name = "geneva"\nrole = "disaster-recovery"\n'))
    assert any("1 active sites: package economy needs at least 2" in one for one in found)
