"""DR_PROMOTE: what is refused, and what becomes of the node."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from promoted_cluster import cluster_of

from hsm_node.core.keyring import Keyring
from hsm_node.core.principals import LOCAL_OPERATOR, Principal
from hsm_node.core.refusal import Refusal
from hsm_node.service.request import Request
from hsm_node.store.base import StoreError
from hsm_node.store.sqlite import SqliteStore
from hsm_wire import kinds
from hsm_wire.administration import DrPromote, DrPromotion, DrVouch
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.messages import Pong, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import Role
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

    def promote(_self: SqliteStore, _keyring: Keyring, gone: Collection[str]) -> None:
        running.gone.append(list(gone))
        running.store.promoted, running.store.epoch = True, running.store.epoch + 1

    running.store.promote = promote.__get__(running.store)
    running.keystore.promotion.configure(cluster_of(tmp_path, HERE))
    running.operator = await running.client()
    running.operator.bind(OPERATOR, "spiffe://dev/operator/op", 0, ("operate",))
    return running


async def promote(node: Any, *, cluster: str = "dev", **how: bool) -> Any:
    return await node.operator.call(Opcode.DR_PROMOTE, DrPromote(cluster, **how), principal=OPERATOR, operation_id=5)


async def reported(client: Any) -> Pong:
    client.send(kinds.PING)
    return decode_body(Pong, (await client.frame()).body)


async def test_a_node_of_the_dr_site_stands_by_until_it_is_promoted_and_its_links_end_with_the_epoch(node: Any) -> None:
    assert (await reported(node.operator)).state == "standby"
    answer = await promote(node)
    assert decode_body(DrPromotion, answer.body) == DrPromotion(2, promoted=True)
    assert node.gone == [[]]
    assert (await node.operator.frame()).kind == kinds.GOAWAY
    told = await reported(await node.client())
    assert (told.state, told.epoch) == ("up", 2)


async def test_who_only_looks_changes_nothing(node: Any) -> None:
    assert decode_body(DrPromotion, (await promote(node, look=True)).body) == DrPromotion(1, promoted=False)
    assert not node.gone


async def test_nodes_that_are_given_up_are_named_to_the_store(node: Any) -> None:
    assert (await promote(node, force=True)).status == Status.OK
    assert node.gone == [["node-2", "node-3"]]


async def test_while_a_productive_node_answers_only_force_promotes(node: Any, text_of: Text, tmp_path: Path) -> None:
    port = node.address[1]
    node.keystore.promotion.configure(cluster_of(tmp_path, HERE | {"zurich": ("active", "node-2", port)}))
    refused = await promote(node)
    assert refused.status == Status.BAD_REQUEST
    assert "node-2 still answers; stop their sites first" in text_of(refused)
    assert (await promote(node, force=True)).status == Status.OK


@pytest.mark.parametrize(
    ("sites", "cluster", "said"),
    [
        (NO_DR, "dev", "cluster dev has no DR site"),
        (ELSEWHERE, "dev", "node-1 is not of the DR site; promote on a host of alps"),
        (HERE, "prod", "this is cluster 'dev', not 'prod'"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_the_reason(
    node: Any, tmp_path: Path, text_of: Text, sites: dict[str, tuple[str, str, int]], cluster: str, said: str
) -> None:
    node.keystore.promotion.configure(cluster_of(tmp_path, sites))
    refused = await promote(node, cluster=cluster, force=True)
    assert refused.status == Status.BAD_REQUEST
    assert said in text_of(refused)
    assert not node.gone


async def test_a_second_promotion_and_one_of_a_fenced_node_are_refused(
    node: Any, text_of: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.store.promoted = True
    assert "promoted already, in epoch 1" in text_of(await promote(node))
    node.store.promoted = False
    monkeypatch.setattr(type(node.store), "fenced", True)
    assert "node-1 is fenced" in text_of(await promote(node))


async def test_without_the_store_nothing_is_promoted(node: Any) -> None:
    def away(_keyring: Keyring, _gone: Collection[str]) -> None:
        raise StoreError("no quorum")

    node.store.promote = away
    assert (await promote(node)).status == Status.STORE_UNAVAILABLE
    assert (await reported(node.operator)).state == "standby"


async def test_who_vouches_does_it_on_the_nodes_own_host(node: Any, text_of: Text) -> None:
    vouched: list[bool] = []
    node.store.vouch = lambda: vouched.append(True)
    over_the_network = await node.operator.call(Opcode.DR_VOUCH, DrVouch("dev"), principal=OPERATOR)
    assert (over_the_network.status, vouched) == (Status.DENIED, [])
    root = Principal(LOCAL_OPERATOR, 0, frozenset({Role.OPERATE}), 0)
    answers: list[tuple[int, bytes]] = []

    class Sink:
        def answer(self, _request: Request, status: int, body: bytes) -> None:
            answers.append((status, body))

        def refuse(self, _request: Request, refusal: Refusal) -> None:
            answers.append((int(refusal.status), refusal.detail.encode()))

    for name in ("prod", "dev"):
        [frame] = FrameSplitter(1 << 20).split(
            encode_frame(kinds.REQUEST, encode_body(DrVouch(name)), request_id=1, opcode=Opcode.DR_VOUCH)
        )
        assert isinstance(frame, Frame)
        node.keystore.service.serve(Request(frame, root, 1e12, Sink(), 0.0))
    assert [status for status, _ in answers] == [Status.BAD_REQUEST, Status.OK]
    assert vouched == [True]
