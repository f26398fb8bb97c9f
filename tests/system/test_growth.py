"""The page about growth, followed on data centres that serve: nodes, members and a site come, are replaced and go."""

from programs import wait_until
from store_stand import StoreStand

PAGE = "growth.md"
MEMBERS = ["etcd-alps", "etcd-geneva-2", "etcd-zurich"]


def test_what_the_page_says_is_done_under_load_and_no_request_fails(stand: StoreStand) -> None:
    def names() -> list[str]:
        return sorted(member["name"] for member in stand.members())

    stand.follow("Prepare", page=PAGE)
    with stand.load() as load:
        for title in ("Add a node", "Remove a node", "Replace a node", "Replace a member", "Add a site"):
            stand.follow(title, page=PAGE)
            stand.make_keys()
        assert names() == sorted([*MEMBERS, "etcd-bern"])
        assert not any(member.get("isLearner") for member in stand.members())
        stand.follow("Remove a site", page=PAGE)
        wait_until(lambda: names() == MEMBERS, lambda: str(names()))
        stand.make_keys()
        stand.wait_problem("node-", there=False)
        stand.wait_problem("store member", there=False)
    assert load.failed == {}
