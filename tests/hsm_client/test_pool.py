"""Several connections to several proxies."""

import asyncio
import socket
from random import Random

import pytest
from fake_cluster import FakeProxy

from hsm_client.cluster import CONNECT_S
from hsm_client.config import ClientConfig, ProxyAddress
from hsm_client.connection import Connection
from hsm_client.errors import Denied, make_error
from hsm_client.pool import Pool
from hsm_client.retry import RECONNECT_SAME_S
from hsm_wire.statuses import Status


async def test_the_slots_spread_over_the_proxies_and_the_avoided_connection_is_the_last_choice(proxy, configured):
    other = await FakeProxy(proxy.keystore).start()
    pool = Pool(configured(proxy, other), 2, Random(1))
    pool.start()
    deadline = asyncio.get_running_loop().time() + 5
    try:
        first = await pool.acquire(deadline)
        while len(pool._connections) < 2:
            await asyncio.sleep(0.001)
        second = await pool.acquire(deadline, avoid=first)
        assert {first.address.port, second.address.port} == {proxy.port, other.port}
    finally:
        await pool.close()
        await other.stop()


async def test_a_slot_lives_on_past_a_host_name_that_is_none(proxy, configured):
    config = ClientConfig((ProxyAddress("a..b", 1), *configured(proxy).proxies), None)
    for seed in range(4):
        pool = Pool(config, 1, Random(seed))
        pool.start()
        try:
            found = await pool.acquire(asyncio.get_running_loop().time() + 5)
            assert found.address.port == proxy.port
        finally:
            await pool.close()


async def test_who_is_denied_is_told_so_at_once_and_not_that_nobody_can_be_reached(proxy, configured, monkeypatch):
    async def denied(address, *_, **__):
        raise make_error(Status.DENIED, f"proxy {address} refused the connection: not a client; ask for it")

    monkeypatch.setattr(Connection, "open", denied)
    pool = Pool(configured(proxy), 1, Random(1))
    pool.start()
    try:
        with pytest.raises(Denied, match="refused the connection: not a client; ask for it"):
            await pool.opened(CONNECT_S)
    finally:
        await pool.close()


async def test_a_slot_moves_at_once_to_a_proxy_that_no_other_slot_uses(proxy, configured):
    others = [await FakeProxy(proxy.keystore).start() for _ in range(2)]
    pool = Pool(configured(proxy, *others), 2, Random(1))
    pool.start()
    loop = asyncio.get_running_loop()
    try:
        while len(pool._connections) < 2:
            await asyncio.sleep(0.001)
        lost = await pool.acquire(loop.time() + 5)
        stays = await pool.acquire(loop.time() + 5, avoid=lost)
        lost.abort()
        while True:
            found = await pool.acquire(loop.time() + 5, avoid=stays)
            if found is not stays:
                break
            await asyncio.sleep(0.001)
        assert found.address not in (lost.address, stays.address)
    finally:
        await pool.close()
        for other in others:
            await other.stop()


async def test_a_proxy_that_takes_connections_and_never_answers_does_not_use_up_the_time_for_the_next_one(
    proxy, configured
):
    hung = socket.create_server(("127.0.0.1", 0))  # the system takes connections, and nobody reads them
    address = ProxyAddress("127.0.0.1", hung.getsockname()[1])
    well = configured(proxy).proxies
    # The pool starts at a random proxy: here at the one that hangs.
    proxies = (address, *well) if Random(1).randrange(2) == 0 else (*well, address)
    pool = Pool(ClientConfig(proxies, None), 1, Random(1))
    pool.start()
    try:
        await pool.opened(CONNECT_S)
    finally:
        await pool.close()
        hung.close()


async def test_clients_begin_with_a_proxy_by_chance_and_go_round(monkeypatch):
    proxies = tuple(ProxyAddress("127.0.0.1", number) for number in (1, 2, 3))
    tried: list[list[int]] = []

    async def refuse(address: ProxyAddress, *_: object, **__: object) -> Connection:
        tried[-1].append(address.port)
        raise OSError("refused")

    monkeypatch.setattr(Connection, "open", refuse)
    for seed in range(30):
        tried.append([])
        pool = Pool(ClientConfig(proxies, None), 1, Random(seed))
        pool.start()
        async with asyncio.timeout(5):
            while len(tried[-1]) < 3:
                await asyncio.sleep(0.001)
        await pool.close()
    assert {ports[0] for ports in tried} == {1, 2, 3}
    assert all(sorted(ports[:3]) == [1, 2, 3] for ports in tried)


async def test_a_proxy_that_was_lost_is_not_dialled_again_at_once_by_all_its_clients(proxy, configured, monkeypatch):
    slept: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await real(0)

    pool = Pool(configured(proxy), 1, Random(1))
    pool.start()
    try:
        connection = await pool.acquire(asyncio.get_running_loop().time() + 5)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        connection.abort()
        async with asyncio.timeout(5):
            while not any(0.0 < seconds <= RECONNECT_SAME_S for seconds in slept):
                await real(0.001)
    finally:
        monkeypatch.undo()
        await pool.close()
