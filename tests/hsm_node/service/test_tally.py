"""A node counts what succeeded, and tells proxies; what they tell it, it tells others."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hsm_daemon import clock
from hsm_wire.messages import NIL_PARAMETERS, GenerateKey, Sign, UsageNews, UsageReport, UsageRow, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
KEY_ID = bytes(range(16))
CKM_ECDSA_SHA256 = 0x1044
SIGN = Sign(KEY_ID, CKM_ECDSA_SHA256, NIL_PARAMETERS, b"data")
PERIOD = int(clock.now()) // 300


def with_a_second_node(folder: Path) -> None:
    path = '{ uplink = "lo", address = "127.0.0.1:2427" }'
    file = folder / "cluster.toml"
    file.write_text(
        file.read_text().replace(
            "[[partitions]]", f'[[nodes]]\nname = "node-7"\nsite = "local"\npaths = [{path}]\n[[partitions]]', 1
        )
    )


async def proxy_of(node: Any) -> Any:
    client = await node.client()
    client.bind(9, "spiffe://dev/proxy/p1", 0, ("check",))
    return client


async def told(client: Any, report: UsageReport | None = None) -> UsageNews:
    frame = await client.call(Opcode.USAGE, report or UsageReport(), principal=9)
    assert frame.status == Status.OK
    return decode_body(UsageNews, frame.body)


def sums(news: UsageNews) -> tuple[int, int]:
    return sum(row.signatures for row in news.rows), sum(row.generations for row in news.rows)


async def test_what_succeeded_is_counted_and_what_failed_is_not(start_node: Start) -> None:
    client = await proxy_of(start_node())
    assert sums(await told(client)) == (0, 0)
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(KEY_ID, "ec-p256"))).status == Status.OK
    assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(KEY_ID, "ec-p384"))).status == Status.KEY_EXISTS
    for _ in range(3):
        assert (await client.call(Opcode.SIGN, SIGN)).status == Status.OK
    assert (
        await client.call(Opcode.SIGN, Sign(bytes(16), CKM_ECDSA_SHA256, NIL_PARAMETERS, b""))
    ).status == Status.KEY_NOT_FOUND
    news = await told(client)
    assert sums(news) == (3, 1)
    assert {(row.node, row.partition) for row in news.rows} == {("node-1", 1)}
    assert [(row.partition, row.keys) for row in news.stored] == [(1, 1)]
    assert not news.more


async def test_only_what_is_new_to_the_proxy_is_told_and_all_to_one_that_knew_another_process(
    start_node: Start,
) -> None:
    client = await proxy_of(start_node())
    await client.call(Opcode.GENERATE_KEY, GenerateKey(KEY_ID, "ec-p256"))
    first = await told(client)
    assert len((await told(client, UsageReport(first.boot_id, first.newest))).rows) == 0
    assert (await told(client, UsageReport(bytes(16), first.newest))).rows == first.rows


async def test_what_one_proxy_tells_is_told_to_the_others(node_folder: Path, start_node: Start) -> None:
    with_a_second_node(node_folder)
    node = start_node()
    client = await proxy_of(node)
    row = UsageRow("node-7", 1, PERIOD, 40, 2)
    assert (await told(client, UsageReport(rows=[row]))).rows == []
    assert (await told(client)).rows == [row]
    assert node.keystore.tally.usage.signatures(1) == 40


async def test_of_unknown_nodes_and_partitions_nothing_is_believed_and_who_told_is_named_once(
    node_folder: Path, start_node: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with_a_second_node(node_folder)
    node = start_node()
    client = await proxy_of(node)
    made_up = [UsageRow("node-8", 1, PERIOD, 40, 2), UsageRow("node-7", 3, PERIOD, 40, 2)]
    for _ in range(2):
        await told(client, UsageReport(rows=made_up))
    assert (await told(client)).rows == []
    assert node.keystore.tally.usage.claims.refused == 4
    [line] = [line for line in caplog.records if line.message == "a proxy told of use that cannot be"]
    assert line.__dict__["fields"]["proxy"] == "spiffe://dev/proxy/p1"


async def test_what_was_used_before_the_moment_that_the_operator_names_does_not_count(
    node_folder: Path, start_node: Start
) -> None:
    with_a_second_node(node_folder)
    file = node_folder / "cluster.toml"
    since = datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    file.write_text(file.read_text().replace("[[sites]]", f"usage_since = {since}\n[[sites]]", 1))
    client = await proxy_of(start_node())
    await told(client, UsageReport(rows=[UsageRow("node-7", 1, PERIOD - 2, 40, 2)]))
    assert (await told(client)).rows == []


async def test_no_client_may_tell_it_and_it_is_no_progress(start_node: Start) -> None:
    node = start_node()
    client = await proxy_of(node)
    assert (await client.call(Opcode.USAGE, UsageReport())).status == Status.DENIED
    await told(client)
    assert node.node.facts.requests.completed == 0


async def test_what_fails_inside_is_answered(start_node: Start, monkeypatch: Any) -> None:
    node = start_node()
    monkeypatch.setattr(node.keystore.tally, "_stored", lambda: 1 / 0)
    client = await proxy_of(node)
    frame = await client.call(Opcode.USAGE, UsageReport(), principal=9)
    assert frame.status == Status.DEVICE_ERROR


async def test_a_partition_that_has_its_keys_gets_no_more_and_keeps_what_it_has(
    node_folder: Path, start_node: Start
) -> None:
    file = node_folder / "cluster.toml"
    file.write_text(file.read_text().replace("id = 1\n", "id = 1\nstored_keys = 1\n"))
    client = await proxy_of(start_node())
    for _ in range(2):  # sent twice, it finds itself
        assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(KEY_ID, "ec-p256"))).status == Status.OK
    frame = await client.call(Opcode.GENERATE_KEY, GenerateKey(bytes(16), "ec-p256"))
    assert frame.status == Status.OVER_QUOTA
