"""The files of a development cluster, read by those who will."""

import tomllib
from pathlib import Path

import pytest

from hsm_client.config import load_config
from hsm_cluster.cluster import load_cluster
from hsm_node.config import load_node_config
from hsmctl.dev import configuration
from hsmctl.dev.data_centres import make_data_centres
from hsmctl.dev.plan import CLIENT_IDENTITY, Plan, make_plan


@pytest.fixture(params=[True, False], ids=["tls", "plain"])
def plan(request: pytest.FixtureRequest) -> Plan:
    return make_plan(3, 2, tls=request.param, event_loop="asyncio")


def test_the_cluster_file_is_valid_and_gives_the_client_all_roles(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "cluster.toml").write_text(configuration.cluster_toml(plan))
    cluster = load_cluster(tmp_path / "cluster.toml")
    principal = cluster.principal_of(CLIENT_IDENTITY)
    assert principal is not None
    assert principal.roles == {"use", "manage", "audit", "operate"}
    assert [str(node.paths[0].address) for node in cluster.nodes] == [node.address for node in plan.nodes]


def test_the_client_file_lists_all_proxies(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "client.toml").write_text(configuration.client_toml(plan, "client"))
    config = load_config(tmp_path / "client.toml", environment={})
    assert [str(proxy) for proxy in config.proxies] == [proxy.address for proxy in plan.proxies]
    assert (config.tls is not None) == plan.tls


def test_only_a_proxy_without_tls_names_who_its_clients_are(plan: Plan) -> None:
    node = tomllib.loads(configuration.node_toml(plan, plan.nodes[0]))
    proxy = tomllib.loads(configuration.proxy_toml(plan, plan.proxies[0]))
    assert ("tls_off_identity" in proxy) == (not plan.tls)
    assert "tls_off_identity" not in node
    assert node["event_loop"] == proxy["event_loop"] == "asyncio"


def test_the_files_of_several_sites_hold_to_the_rules_and_each_node_prefers_its_own_member(tmp_path: Path) -> None:
    plan = make_data_centres(tmp_path, None)
    (tmp_path / "cluster.toml").write_text(configuration.cluster_toml(plan))
    assert load_cluster(tmp_path / "cluster.toml").package.name == "dedicated"
    by_site = {store.site: store.address for store in plan.stores}
    for node in plan.nodes:
        file = tmp_path / f"{node.name}.toml"
        file.write_text(configuration.node_toml(plan, node))
        config, _ = load_node_config(file)
        assert str(config.store.endpoints[0]) == by_site[node.site]
        assert {str(address) for address in config.store.endpoints} == set(by_site.values())
    assert tomllib.loads(configuration.proxy_toml(plan, plan.proxies[2]))["site"] == "alps"


def test_a_member_of_the_store_asks_everybody_for_a_certificate(tmp_path: Path) -> None:
    plan = make_data_centres(tmp_path, None)
    made = configuration.store_json(plan, plan.stores[0], tmp_path)
    for kind in ("client", "peer"):
        assert made[f"{kind}-transport-security"]["client-cert-auth"] is True
        assert made[f"{kind}-transport-security"]["trusted-ca-file"] == str(tmp_path / "store-ca.pem")
    assert made["peer-transport-security"]["allowed-cn"] == ["redoubt-etcd"]
    assert "allowed-cn" not in made["client-transport-security"], "nodes have names of their own"
    assert made["initial-cluster"].count("https://") == 3
    assert "http://" not in made["listen-client-urls"] + made["listen-peer-urls"]
