"""The plan with several sites: what the contract says of `hsmctl dev --store etcd`."""

from pathlib import Path

import pytest

from hsmctl.dev.data_centres import PORTS_FILE, keep_ports, make_data_centres
from hsmctl.failures import CommandError


def test_there_are_two_active_sites_and_one_for_disaster_recovery_each_with_a_proxy_and_a_member(
    tmp_path: Path,
) -> None:
    plan = make_data_centres(tmp_path, "uvloop")
    assert [site.name for site in plan.sites if not site.is_standby] == ["zurich", "geneva"]
    assert [site.name for site in plan.sites if site.is_standby] == ["alps"]
    assert [node.site for node in plan.nodes] == ["zurich", "zurich", "geneva", "geneva", "alps"]
    assert (
        [proxy.site for proxy in plan.proxies] == [store.site for store in plan.stores] == ["zurich", "geneva", "alps"]
    )
    assert [plan.is_standby(node) for node in plan.nodes] == [False, False, False, False, True]
    assert (plan.active_nodes, plan.package, plan.tls, plan.event_loop) == (4, "dedicated", True, "uvloop")


def test_keys_may_be_in_tokens_at_every_site(tmp_path: Path) -> None:
    assert make_data_centres(tmp_path, None, Path("libsofthsm2.so")).softhsm == Path("libsofthsm2.so")
    assert make_data_centres(tmp_path, None).softhsm is None


def test_every_address_is_used_once(tmp_path: Path) -> None:
    plan = make_data_centres(tmp_path, None)
    addresses = [address for member in plan.members for address in (member.address, member.admin)]
    addresses += [address for store in plan.stores for address in (store.address, store.peer, store.admin)]
    assert len(set(addresses)) == len(addresses) == 2 * 8 + 3 * 3


def test_the_store_s_members_are_found_again_where_they_were(tmp_path: Path) -> None:
    plan = make_data_centres(tmp_path, None)
    assert make_data_centres(tmp_path, None).stores != plan.stores
    keep_ports(tmp_path, plan)
    again = make_data_centres(tmp_path, None)
    assert again.stores == plan.stores
    assert again.nodes != plan.nodes


def test_a_damaged_file_of_ports_is_one_line(tmp_path: Path) -> None:
    (tmp_path / PORTS_FILE).write_text('{"etcd-zurich": [1]}')
    with pytest.raises(CommandError, match=r"etcd-ports\.json cannot be read; .*start anew"):
        make_data_centres(tmp_path, None)
