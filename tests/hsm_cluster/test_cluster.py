"""A loaded cluster."""

from pathlib import Path

import pytest

from hsm_cluster.cluster import load_cluster
from hsm_cluster.errors import ConfigurationError
from hsm_cluster.packages import PACKAGES, Quota


def write(folder: Path, text: str) -> Path:
    path = folder / "cluster.toml"
    path.write_text(text)
    return path


def test_a_principal_comes_from_its_identity_only(tmp_path: Path, economy: str) -> None:
    cluster = load_cluster(write(tmp_path, economy))
    client = cluster.principal_of("spiffe://payments/client/issuer")
    operator = cluster.principal_of("spiffe://payments/operator/olga")
    assert client is not None
    assert operator is not None
    assert (client.partition, client.roles) == (1, {"use", "manage"})
    assert (operator.partition, operator.roles) == (0, {"operate"})
    assert cluster.principal_of("spiffe://payments/client/nobody") is None
    assert "issuer" not in repr(cluster).split("operators=")[1]


def test_nodes_and_sites_are_found_by_name(tmp_path: Path, economy: str) -> None:
    cluster = load_cluster(write(tmp_path, economy))
    assert cluster.node("gva-1").weight == 2
    assert cluster.site("alps").role == "disaster-recovery"
    with pytest.raises(ConfigurationError, match="no node 'x'; it has: zrh-1"):
        cluster.node("x")
    with pytest.raises(ConfigurationError, match="no site 'x'; it has: zurich"):
        cluster.site("x")


def test_the_hash_is_of_the_meaning_and_not_of_the_text(tmp_path: Path, economy: str) -> None:
    before = load_cluster(write(tmp_path, economy)).configuration_hash
    other = "# a comment\n" + economy.replace('["use", "manage"]', '["manage", "use"]').replace(
        '["isp-a", "isp-b"]', '["isp-b", "isp-a"]'
    )
    assert load_cluster(write(tmp_path, other)).configuration_hash == before
    changed = economy.replace("weight = 2", "weight = 3")
    assert load_cluster(write(tmp_path, changed)).configuration_hash != before
    assert len(bytes.fromhex(before)) == 32


def test_durability_is_in_the_hash_where_it_is_not_the_usual_one(tmp_path: Path, economy: str) -> None:
    before = load_cluster(write(tmp_path, economy))
    quorum = load_cluster(write(tmp_path, economy.replace('"economy"', '"economy"\ndurability = "quorum"')))
    other = load_cluster(write(tmp_path, economy.replace('"economy"', '"economy"\ndurability = "dr"')))
    assert (before.durability, quorum.durability, other.durability) == ("quorum", "quorum", "dr")
    assert before.configuration_hash == quorum.configuration_hash != other.configuration_hash
    with pytest.raises(ConfigurationError, match="durability"):
        load_cluster(write(tmp_path, economy.replace('"economy"', '"economy"\ndurability = "all"')))


def test_recovery_sites_are_known_by_name(tmp_path: Path, economy: str) -> None:
    assert load_cluster(write(tmp_path, economy)).recovery_sites == ["alps"]


def test_a_partition_has_the_quota_of_the_package_or_where_it_is_agreed_its_own(tmp_path: Path, economy: str) -> None:
    cluster = load_cluster(write(tmp_path, economy))
    assert cluster.quota_of(cluster.partitions[0]) == PACKAGES["economy"].quota
    own = economy.replace('"economy"', '"dedicated"').replace("id = 1\n", "id = 1\nsignatures_per_minute = 7\n")
    cluster = load_cluster(write(tmp_path, own))
    assert cluster.quota_of(cluster.partitions[0]) == Quota(7)


def test_violations_are_one_line_with_the_file(tmp_path: Path, economy: str) -> None:
    path = write(tmp_path, economy.replace('"CH-GE"', '"CH-ZH"').replace("weight = 2", "weight = 0"))
    with pytest.raises(ConfigurationError) as caught:
        load_cluster(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "weight 0" in line
    assert "risk zone" in line
    assert "\n" not in line


def test_a_client_may_be_an_operator_and_keeps_its_partition(tmp_path: Path, economy: str) -> None:
    text = f'{economy}\n[[operators]]\nidentity = "spiffe://payments/client/issuer"\n'
    both = load_cluster(write(tmp_path, text)).principal_of("spiffe://payments/client/issuer")
    assert both is not None
    assert (both.partition, both.roles) == (1, {"use", "manage", "operate"})


def test_use_is_forgotten_since_a_moment_with_a_zone_and_only_where_the_file_names_one(
    tmp_path: Path, economy: str
) -> None:
    assert load_cluster(write(tmp_path, economy)).usage_since_s == 0.0
    named = economy.replace('"economy"', '"economy"\nusage_since = 2030-01-31T12:00:00+01:00')
    assert load_cluster(write(tmp_path, named)).usage_since_s == 1_896_087_600.0
    with pytest.raises(ConfigurationError, match="usage_since"):
        load_cluster(write(tmp_path, named.replace("+01:00", "")))
