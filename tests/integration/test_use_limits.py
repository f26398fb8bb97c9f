"""Limits of keys in a cluster of real processes: never a use too many, though nodes are killed and requests re-sent."""

import asyncio
import contextlib
import re
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from cluster import Cluster
from programs import Program, get
from raw import BIND, REQUEST, RawConnection, frame
from second_client import uuid7

from hsm_client import connect
from hsm_client.client import Hsm
from hsm_client.errors import HsmError
from hsm_client.keys import Key
from hsm_client.policies import policy

pytestmark = pytest.mark.other_loop_in_system

GENERATE_KEY, SIGN = 0x0101, 0x0201
KEY_USAGE = 0x0304
TASKS = 12
"""Callers at one time: more than a record remembers of uses."""
HELD_S = 1.5
IDLE_S = 2.0
"""After the start: until a proxy has nothing more to say of its nodes."""


async def use_up(key: Key, going: Callable[[], bool], seen: Counter[str], signatures: set[bytes]) -> None:
    """Sign something new again and again, until the key has made all its uses."""
    while going():
        try:
            signatures.add(await key.sign(secrets.token_bytes(16), "ecdsa-sha256"))
            seen["OK"] += 1
        except HsmError as error:
            seen[error.status_name] += 1
            if error.status_name == "KEY_USAGE":
                return


async def killed_in_between(cluster: Cluster, node: Program, seen: Counter[str], after: int) -> None:
    """Kill a node without a word when so many uses were made, and bring it back."""
    while seen["OK"] < after:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(node.kill)
    node.start()
    await asyncio.to_thread(node.wait_ready)


def metric(node: Program, name: str) -> float:
    """Return a number of /metrics."""
    found = re.search(rf"^hsm_node_{name} (\S+)$", get(node.admin_port, "/metrics")[1].decode(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def test_a_key_makes_no_use_too_many_though_nodes_are_killed_while_it_is_used_up(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster()
    most = 400
    seen: Counter[str] = Counter()
    signatures: set[bytes] = set()

    async def main() -> None:
        async with connect(cluster.client_config, timeout_s=30.0) as hsm:
            key = await hsm.generate_key("ec-p256", policy=policy(max_uses=most))
            await asyncio.gather(
                *(use_up(key, lambda: True, seen, signatures) for _ in range(TASKS)),
                killed_in_between(cluster, cluster.nodes[0], seen, 80),
                killed_in_between(cluster, cluster.nodes[1], seen, 180),
            )
            for _ in range(5):
                with pytest.raises(HsmError, match="400 uses"):
                    await key.sign(b"one more", "ecdsa-sha256")

    cluster.run(main)
    assert set(seen) == {"OK", "KEY_USAGE"}, seen
    assert len(signatures) == seen["OK"]
    # What was counted at a node and lost with it comes again under its mark; only where more than eight others came
    # between does it count once more.
    assert most - 3 * TASKS <= seen["OK"] <= most, seen


def test_requests_re_sent_to_every_node_count_once_and_never_pass_the_limit(shared: Cluster) -> None:
    links = [RawConnection(node.port, shared.proxy_identity) for node in shared.nodes]
    with contextlib.ExitStack() as held:
        for link in links:
            held.enter_context(link)
            link.send(
                frame(BIND, [7, "spiffe://test/client/app", 1, ["use", "manage"], secrets.token_bytes(32), 1 << 40])
            )
        key_id = uuid7()
        made = [key_id, "ec-p256", "counted", 0, [0, [], 0, 0, 5, 0]]
        assert links[0].request(GENERATE_KEY, made, principal=7).status == 0
        for number in range(1, 8):
            body = [key_id, 0x1044, None, b"%d" % number]
            for link in links:
                link.send(frame(REQUEST, body, opcode=SIGN, request_id=100, principal=7, operation_id=number))
            statuses = {link.receive().status for link in links}
            assert statuses == ({0} if number <= 5 else {KEY_USAGE}), number


def test_an_owner_disables_a_limited_key_that_every_node_is_busy_with(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    seen: Counter[str] = Counter()

    async def main() -> None:
        async with connect(cluster.client_config, timeout_s=20.0) as hsm:
            key = await hsm.generate_key("ec-p256", policy=policy(max_uses=1_000_000))
            going = True
            uses = [asyncio.ensure_future(use_up(key, lambda: going, seen, set())) for _ in range(TASKS)]
            while seen["OK"] < 100:
                await asyncio.sleep(0.01)
            await key.update(enabled=False)
            late = [await status_of(key) for _ in range(20)]
            going = False
            await asyncio.gather(*uses)
            assert set(late) == {"KEY_DISABLED"}

    cluster.run(main)
    assert set(seen) <= {"OK", "KEY_DISABLED"}, seen


def test_uses_that_wait_for_the_store_take_no_node_out(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    seen: Counter[str] = Counter()

    async def main() -> None:
        async with connect(cluster.client_config, timeout_s=20.0) as hsm:
            key = await hsm.generate_key("ec-p256", policy=policy(max_uses=1_000_000))
            await asyncio.sleep(IDLE_S)
            before = cluster.proxy.log().count('event="node changed"')
            going = True
            with contextlib.closing(sqlite3.connect(cluster.store, isolation_level=None)) as store:
                store.execute("BEGIN IMMEDIATE")
                uses = [asyncio.ensure_future(use_up(key, lambda: going, seen, set())) for _ in range(TASKS)]
                await asyncio.sleep(2 * HELD_S)
                assert not seen["OK"], "the lock held nobody up: nothing was tried"
                store.execute("ROLLBACK")
            while seen["OK"] < 50:
                await asyncio.sleep(0.05)
            going = False
            await asyncio.gather(*uses)
            log = cluster.proxy.log()
            assert log.count('event="node changed"') == before, log[-2000:]

    cluster.run(main)
    assert set(seen) == {"OK"}, seen


async def status_of(key: Key) -> str:
    """Return what a use is answered."""
    try:
        await key.sign(b"late", "ecdsa-sha256")
    except HsmError as error:
        return error.status_name
    return "OK"


def test_encryption_goes_on_while_the_store_takes_no_writing_and_a_counted_use_waits(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster()

    async def leased_everywhere(hsm: Hsm, key: Key) -> None:
        while any(metric(node, "gcm_leases_total") < 1 for node in cluster.nodes):
            await key.encrypt(b"data")

    async def main() -> tuple[int, bool]:
        async with connect(cluster.client_config, timeout_s=20.0) as hsm:
            key = await hsm.generate_key("aes-256")
            limited = await hsm.generate_key("ec-p256", policy=policy(max_uses=10))
            await leased_everywhere(hsm, key)
            with contextlib.closing(sqlite3.connect(cluster.store, isolation_level=None)) as store:
                store.execute("BEGIN IMMEDIATE")
                counted = asyncio.ensure_future(limited.sign(b"data", "ecdsa-sha256"))
                end, done = time.monotonic() + HELD_S, 0
                while time.monotonic() < end:
                    await key.encrypt(b"data")
                    done += 1
                waited = not counted.done()
                store.execute("ROLLBACK")
            await counted
            return done, waited

    done, waited = cluster.run(main)
    assert waited, "the use was made before it was counted"
    assert done > 20


def test_a_node_that_was_killed_takes_a_new_block_and_the_key_goes_on(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(2)
    one, _ = cluster.nodes
    answers: list[Any] = []

    async def main() -> None:
        async with connect(cluster.client_config, timeout_s=20.0) as hsm:
            key = await hsm.generate_key("aes-256")
            for _ in range(3):
                while metric(one, "gcm_leases_total") < 1:
                    answers.append(await key.encrypt(b"data"))
                await asyncio.to_thread(one.kill)
                answers.extend([await key.encrypt(b"data") for _ in range(5)])
                one.start()
                await asyncio.to_thread(one.wait_ready)
            opened = {await key.decrypt(sealed.ciphertext, "aes-gcm", iv=sealed.iv) for sealed in answers[-5:]}
            assert opened == {b"data"}

    cluster.run(main)
    assert len({sealed.iv for sealed in answers}) == len(answers)
