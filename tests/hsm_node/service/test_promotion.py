"""DR_PROMOTE: what is refused, and what becomes of the node."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from backup_desk import Desk
from promoted_cluster import cluster_of

from hsm_node.core.keyring import Keyring
from hsm_node.core.refusal import Refusal
from hsm_node.store.base import Lag, StoreError
from hsm_node.store.sqlite import SqliteStore
from hsm_wire import kinds, limits
from hsm_wire.administration import DrDemote, DrPromote, DrPromotion, DrReturn, DrVouch
from hsm_wire.messages import Pong, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Text = Callable[[Any], str]
OPERATOR = 9
HERE = {
    "zurich": ("active", "node-2", 1),
    "geneva": ("active", "node-3", 2),
    "alps": ("disaster-recovery", "node-1", 3),
}
ELSEWHERE = HERE | {"zurich": ("active", "node-1", 1), "alps": ("disaster-recovery", "node-2", 3)}
NO_DR = {"zurich": ("active", "node-1", 1), "geneva": ("active", "node-2", 2)}


@pytest.fixture
async def node(start_node: Callable[[], Any], tmp_path: Path) -> Any:
    running = start_node()
    running.gone = []

    def promote(_self: SqliteStore, _keyring: Keyring, gone: Collection[str], epoch: int) -> None:
        if not running.store.promoted or running.store.epoch < epoch:
            running.gone.append(list(gone))
            running.store.promoted, running.store.epoch = True, max(running.store.epoch + 1, epoch)

    running.store.promote = promote.__get__(running.store)
    running.keystore.promotion.configure(cluster_of(tmp_path, HERE))
    running.operator = await running.client()
    running.operator.bind(OPERATOR, "spiffe://dev/operator/op", 0, ("operate",))
    return running


async def promote(node: Any, *, cluster: str = "dev", **how: Any) -> DrPromotion:
    """Ask on the node's own host."""
    return await Desk(node).ask(Opcode.DR_PROMOTE, DrPromote(cluster, **how), DrPromotion)


def no_quorum(_keyring: Keyring, _gone: Collection[str], _epoch: int) -> None:
    raise StoreError("no quorum")


async def reported(client: Any) -> Pong:
    client.send(kinds.PING)
    return decode_body(Pong, (await client.frame()).body)


async def test_a_node_of_the_dr_site_stands_by_until_it_is_promoted_and_its_links_end_with_the_epoch(node: Any) -> None:
    assert (await reported(node.operator)).state == "standby"
    assert await promote(node) == DrPromotion(2, promoted=True)
    assert node.gone == [[]]
    assert (await node.operator.frame()).kind == kinds.GOAWAY
    told = await reported(await node.client())
    assert (told.state, told.epoch) == ("up", 2)


async def test_who_only_looks_changes_nothing(node: Any) -> None:
    assert await promote(node, look=True) == DrPromotion(1, promoted=False)
    assert not node.gone


async def test_nodes_that_are_given_up_are_named_to_the_store(node: Any) -> None:
    await promote(node, force=True)
    assert node.gone == [["node-2", "node-3"]]


async def test_while_a_productive_node_answers_only_force_promotes(node: Any, tmp_path: Path) -> None:
    port = node.address[1]
    node.keystore.promotion.configure(cluster_of(tmp_path, HERE | {"zurich": ("active", "node-2", port)}))
    with pytest.raises(Refusal, match="node-2 still answers; stop their sites first"):
        await promote(node)
    await promote(node, force=True)
    assert len(node.gone) == 1


@pytest.mark.parametrize(
    ("sites", "cluster", "said"),
    [
        (NO_DR, "dev", "cluster dev has no DR site"),
        (ELSEWHERE, "dev", "node-1 is not of the DR site; promote on a host of alps"),
        (HERE, "prod", "this is cluster 'dev', not 'prod'"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_the_reason(
    node: Any, tmp_path: Path, sites: dict[str, tuple[str, str, int]], cluster: str, said: str
) -> None:
    node.keystore.promotion.configure(cluster_of(tmp_path, sites))
    with pytest.raises(Refusal, match=said) as refused:
        await promote(node, cluster=cluster, force=True)
    assert (refused.value.status, node.gone) == (Status.BAD_REQUEST, [])


async def test_over_a_network_nobody_promotes_whoever_a_proxy_says_it_is(node: Any, text_of: Text) -> None:
    body = DrPromote("dev", force=True)
    refused = await node.operator.call(Opcode.DR_PROMOTE, body, principal=OPERATOR, operation_id=5)
    assert (refused.status, refused.flags, node.gone) == (Status.DENIED, 1, [])
    assert "for the node's own host only" in text_of(refused)


async def test_a_second_promotion_and_one_of_a_fenced_node_are_refused(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.store.promoted = True
    with pytest.raises(Refusal, match="promoted already, in epoch 1"):
        await promote(node)
    node.store.promoted = False
    monkeypatch.setattr(type(node.store), "fenced", True)
    with pytest.raises(Refusal, match="node-1 is fenced"):
        await promote(node)


async def test_a_majority_that_is_lost_after_a_promotion_is_left_by_one_epoch_more(node: Any) -> None:
    await promote(node)
    with pytest.raises(Refusal, match="promoted already, in epoch 2"):
        await promote(node, force=True)
    assert await promote(node, force=True, look=True) == DrPromotion(2, promoted=True)
    there, node.store.promote = node.store.promote, no_quorum
    with pytest.raises(Refusal) as refused:
        await promote(node, force=True)
    assert refused.value.status == Status.STORE_UNAVAILABLE
    node.store.promote = there
    assert await promote(node, force=True, epoch=3) == DrPromotion(3, promoted=True)
    assert await promote(node, force=True, epoch=3) == DrPromotion(3, promoted=True), "its first answer may be lost"


async def test_a_node_whose_own_copy_lacks_the_last_promotion_takes_one_above_all_that_it_has_seen(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("fenced", True), ("outlived", True), ("seen_epoch", 2)):
        monkeypatch.setattr(type(node.store), name, value)
    with pytest.raises(Refusal, match="node-1 is fenced"):
        await promote(node, look=True)
    assert await promote(node, force=True, look=True) == DrPromotion(2, promoted=False)
    for epoch in (0, 2):
        with pytest.raises(Refusal, match="node-1 is fenced"):
            await promote(node, force=True, epoch=epoch)
    assert not node.gone
    assert await promote(node, force=True, epoch=3) == DrPromotion(3, promoted=True)


async def test_an_epoch_with_a_number_is_for_the_store_of_the_dr_sites_member(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(node.store), "has_dr_member", lambda _store: False)
    with pytest.raises(Refusal, match="node-1 follows another store than the member of the DR site is of") as refused:
        await promote(node, force=True, epoch=3)
    assert (refused.value.status, node.gone) == (Status.BAD_REQUEST, [])
    assert (await promote(node, force=True)).promoted


async def test_without_the_store_nothing_is_promoted(node: Any) -> None:
    node.store.promote = no_quorum
    with pytest.raises(Refusal) as refused:
        await promote(node)
    assert refused.value.status == Status.STORE_UNAVAILABLE
    assert (await reported(node.operator)).state == "standby"


async def test_who_vouches_does_it_on_the_nodes_own_host(node: Any, text_of: Text) -> None:
    vouched: list[bool] = []
    node.store.vouch = lambda: vouched.append(True)
    over_the_network = await node.operator.call(Opcode.DR_VOUCH, DrVouch("dev"), principal=OPERATOR)
    assert (over_the_network.status, vouched) == (Status.DENIED, [])
    with pytest.raises(Refusal, match="this is cluster 'dev'"):
        await Desk(node).ask(Opcode.DR_VOUCH, DrVouch("prod"), DrPromotion)
    assert await Desk(node).ask(Opcode.DR_VOUCH, DrVouch("dev"), DrPromotion) == DrPromotion(1, promoted=False)
    assert vouched == [True]


async def test_nobody_vouches_for_a_node_that_was_left_behind(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(node.store), "fenced", True)
    monkeypatch.setattr(node.store, "vouch", pytest.fail)
    with pytest.raises(Refusal, match="a promotion has left its store behind; bring it back by `hsmctl dr rejoin`"):
        await Desk(node).ask(Opcode.DR_VOUCH, DrVouch("dev"), DrPromotion)


CAUGHT_UP = Lag({"node-2": 0, "node-3": 0, "node-9": 4}, {})


async def demote(node: Any, *, cluster: str = "dev", look: bool = False) -> DrReturn:
    """Ask on the node's own host."""
    return await Desk(node).ask(Opcode.DR_DEMOTE, DrDemote(cluster, look), DrReturn)


@pytest.fixture
async def back(node: Any) -> Any:
    """A node of a DR site that serves; the old sites lack what `lag` says."""
    node.lag = CAUGHT_UP
    node.store.promoted, node.store.epoch = True, 2
    node.store.lag = lambda: node.lag

    def stand_by(_keyring: Keyring) -> None:
        node.store.promoted = False

    node.store.demote = stand_by
    node.operator.send(kinds.PING)  # The epoch that ended closes the links of before.
    await node.operator.frame()
    node.operator = await node.client()
    node.operator.bind(OPERATOR, "spiffe://dev/operator/op", 0, ("operate",))
    return node


async def test_when_the_old_sites_have_caught_up_the_dr_site_stands_by_again_in_the_same_epoch(back: Any) -> None:
    assert (await reported(back.operator)).state == "up"
    assert await demote(back) == DrReturn("node-1", "alps", 2, 2, promoted=False)
    told = await reported(back.operator)  # The link stays: no epoch has ended.
    assert (told.state, told.epoch) == ("standby", 2)
    with pytest.raises(Refusal, match="the DR site stands by, in epoch 2: it was not promoted; there is nothing to do"):
        await demote(back)


@pytest.mark.parametrize(
    ("lag", "said"),
    [
        (Lag({"node-2": 0}, {}), "no node of geneva follows this store"),
        (
            Lag({"node-2": 7, "node-3": 0}, {}),
            "node-2 has not confirmed 7 changes, 3 s after they were made: it is down, or slow",
        ),
        (Lag({"node-2": 0, "node-3": 0}, {"h:1": "it lacks 12 changes"}), "the member h:1: it lacks 12 changes"),
    ],
)
async def test_before_they_have_it_is_refused_with_what_is_missing(back: Any, lag: Lag, said: str) -> None:
    back.lag = lag
    with pytest.raises(Refusal, match=f"the old sites have not caught up: {said}") as refused:
        await demote(back)
    assert (refused.value.status, back.store.promoted) == (Status.BAD_REQUEST, True)
    assert (await demote(back, look=True)).lacking == [said]


async def test_of_very_much_that_is_missing_as_much_is_said_as_has_room(back: Any) -> None:
    back.lag = Lag({"node-2": 0, "node-3": 0}, {f"h:{number}": "it lacks 12 changes" for number in range(1, 20)})
    with pytest.raises(Refusal, match=r"the member h:1: it lacks 12 changes; .*; and 1\d more; see docs") as refused:
        await demote(back)
    assert len(refused.value.detail) <= limits.MAX_DETAIL_CHARACTERS
    assert len((await demote(back, look=True)).lacking) == 19


@pytest.mark.parametrize(
    ("sites", "cluster", "said"),
    [
        (NO_DR, "dev", "cluster dev has no DR site; there is nothing to demote"),
        (ELSEWHERE, "dev", "node-1 is not of the DR site; demote on a host of alps"),
        (HERE, "prod", "this is cluster 'dev', not 'prod'"),
    ],
)
async def test_what_cannot_be_meant_by_a_demotion_is_refused_with_the_reason(
    back: Any, tmp_path: Path, sites: dict[str, tuple[str, str, int]], cluster: str, said: str
) -> None:
    back.keystore.promotion.configure(cluster_of(tmp_path, sites))
    with pytest.raises(Refusal, match=said):
        await demote(back, cluster=cluster)
    assert back.store.promoted


async def test_over_a_network_nobody_demotes_and_without_the_store_nothing_is(back: Any, text_of: Text) -> None:
    refused = await back.operator.call(Opcode.DR_DEMOTE, DrDemote("dev"), principal=OPERATOR, operation_id=5)
    assert (refused.status, back.store.promoted) == (Status.DENIED, True)
    assert "for the node's own host only" in text_of(refused)

    def away() -> Lag:
        raise StoreError("no quorum")

    back.store.lag = away
    with pytest.raises(Refusal) as error:
        await demote(back)
    assert (error.value.status, back.store.promoted) == (Status.STORE_UNAVAILABLE, True)


async def test_a_node_that_was_left_behind_says_so_to_whoever_looks(back: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(back.store), "seen_epoch", 3)
    monkeypatch.setattr(type(back.store), "fenced", True)
    assert await demote(back, look=True) == DrReturn("node-1", "alps", 2, 3, promoted=True)
    asked = DrDemote("dev", look=True, compare=True)
    with pytest.raises(Refusal, match="no member of each side answers"):
        await Desk(back).ask(Opcode.DR_DEMOTE, asked, DrReturn)
    monkeypatch.setattr(back.keystore.backups._unjoined, "count", lambda: 7)
    assert (await Desk(back).ask(Opcode.DR_DEMOTE, asked, DrReturn)).unjoined == 7
