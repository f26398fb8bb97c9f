"""The offer."""

from hsm_cluster.packages import PACKAGES, Quota


def test_packages_are_those_of_the_contract() -> None:
    assert {p.name: (p.min_active_nodes, p.max_active_nodes, p.dr_required) for p in PACKAGES.values()} == {
        "sandbox": (1, 4, False),
        "economy": (2, 4, True),
        "platinum": (2, 4, True),
        "dedicated": (1, None, False),
    }
    assert [p.quota.signatures_per_minute for p in PACKAGES.values()] == [None, 600, 12_000, None]
    assert [p.quota.key_generations_per_second for p in PACKAGES.values()] == [None, 1, 1, None]
    assert [name for name, p in PACKAGES.items() if not p.dr_allowed] == ["sandbox"]


def test_proxies_count_for_what_has_a_rate_and_not_for_what_is_stored() -> None:
    assert [p.quota.counted for p in PACKAGES.values()] == [False, True, True, False]
    assert not Quota(stored_keys=5).counted
