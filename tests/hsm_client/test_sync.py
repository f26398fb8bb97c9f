"""The blocking client: threads and forks."""

import contextlib
import inspect
import os
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import hsm_client
from hsm_client import client, cluster, keys, objects, sync, sync_keys, sync_objects
from hsm_client.config import ClientConfig, ProxyAddress
from hsm_client.connection import Connection
from hsm_client.errors import Cancelled, ClusterUnreachable, Denied, make_error
from hsm_wire.statuses import Status


def test_threads_share_one_client(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm, ThreadPoolExecutor(8) as threads:
        assert {len(data) for data in threads.map(hsm.random, [16] * 200)} == {16}


def test_what_the_cluster_and_its_proxy_say_of_themselves_can_be_asked(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm:
        assert (hsm.status().proxy, hsm.events(limit=3).events[0].what) == ("fake", "one of 3")


def test_a_closed_client_says_so(fake_cluster, configured):
    hsm = sync.connect(configured(fake_cluster.proxy)).open()
    hsm.close()
    with pytest.raises(Cancelled, match="closed"):
        hsm.info()


def test_a_forked_child_goes_on_with_connections_of_its_own(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm:
        hsm.random(8)
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if len(hsm.random(8)) == 8 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(hsm.random(8)) == 8


def test_a_forked_child_that_closed_all_files_keeps_those_it_opened_since(fake_cluster, configured, tmp_path):
    log = tmp_path / "child.log"
    with sync.connect(configured(fake_cluster.proxy)) as hsm:
        hsm.random(8)
        child = os.fork()
        if child == 0:
            try:
                os.closerange(3, 256)
                numbers = [os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(64)]
                fine = len(hsm.random(8)) == 8
                for number in numbers:
                    os.write(number, b"x")
                os._exit(0 if fine else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert log.read_bytes() == b"x" * 64
        assert len(hsm.random(8)) == 8


def test_closing_while_a_thread_connects_leaves_no_connection(fake_cluster, configured):
    for _ in range(10):
        hsm = sync.connect(configured(fake_cluster.proxy))
        with ThreadPoolExecutor(1) as threads:
            opening = threads.submit(hsm.open)
            hsm.close()
            with contextlib.suppress(Cancelled):
                opening.result()
        assert hsm._inner is None


def test_each_of_many_threads_ends_by_its_own_deadline_when_no_proxy_is_there(fake_cluster, configured):
    config = configured(fake_cluster.proxy)
    fake_cluster.call(fake_cluster.proxy.stop())
    hsm = sync.connect(config, timeout_s=0.5)

    def took_s(_number: int) -> float:
        begin = time.monotonic()
        with pytest.raises(ClusterUnreachable, match="can be reached"):
            hsm.info()
        return time.monotonic() - begin

    with ThreadPoolExecutor(8) as threads:
        assert max(threads.map(took_s, range(8))) < 2  # one after the other they would need 4 s
    assert hsm._inner is None  # no attempts go on that nobody asked for


def test_a_first_call_waits_for_the_cluster_until_its_own_deadline_and_not_as_long_as_open(
    fake_cluster, configured, monkeypatch
):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.05)
    config = configured(fake_cluster.proxy)
    fake_cluster.call(fake_cluster.proxy.stop())
    hsm = sync.connect(config, timeout_s=20)
    with pytest.raises(ClusterUnreachable):
        hsm.open()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(hsm.random, 8)
        time.sleep(0.3)
        assert not waiting.done()
        fake_cluster.call(fake_cluster.proxy.start())
        assert len(waiting.result()) == 8
    hsm.close()


def test_a_first_call_of_who_is_refused_ends_at_once_and_the_next_one_tries_again(
    fake_cluster, configured, monkeypatch
):
    async def denied(address, *_, **__):
        raise make_error(Status.DENIED, f"proxy {address} refused the connection: not a client; ask for it")

    hsm = sync.connect(configured(fake_cluster.proxy), timeout_s=60)
    with monkeypatch.context() as patched:
        patched.setattr(Connection, "open", denied)
        begin = time.monotonic()
        with pytest.raises(Denied):
            hsm.info()
        assert time.monotonic() - begin < 30
    assert len(hsm.random(8)) == 8
    hsm.close()


@pytest.mark.parametrize("backlog", [0, 64], ids=["not connected yet", "not greeted yet"])
def test_a_forked_child_lets_go_the_sockets_too_that_are_being_opened_and_the_parent_keeps_them(backlog):
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as silent, ThreadPoolExecutor(1) as threads:
        hsm = sync.connect(
            ClientConfig((ProxyAddress("127.0.0.1", silent.getsockname()[1]),), None), timeout_s=60, pool_size=8
        )
        waiting = threads.submit(hsm.info)
        while hsm._inner is None or len(numbers := hsm._inner.file_numbers()) < 8:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            try:
                os._exit(sum(stat.S_ISSOCK(os.fstat(number).st_mode) for number in numbers))
            finally:
                os._exit(255)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        taken, _ = silent.accept()
        with taken:
            assert taken.recv(4096)  # the greeting
            taken.setblocking(False)
            with pytest.raises(BlockingIOError):  # and not the end
                taken.recv(1)
        hsm.close()
        with pytest.raises(Cancelled):
            waiting.result()


def _surface(form):
    """Public methods and properties of a class with their parameters' names, kinds and defaults."""
    return {
        name: [(each.name, each.kind, each.default) for each in inspect.signature(member).parameters.values()]
        if callable(member)
        else []
        for name, member in inspect.getmembers(form)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("form", "blocking", "own", "only_asyncio"),
    [
        (keys.Key, sync_keys.Key, {"within"}, {"by_version"}),
        (objects.StoredObject, sync_objects.StoredObject, set(), set()),
        (client.Hsm, sync.Hsm, {"private_key", "run", "let_go"}, {"start", "opened", "was_open", "file_numbers"}),
    ],
)
def test_the_blocking_client_has_the_same_names_and_parameters(form, blocking, own, only_asyncio):
    asyncio_names, blocking_names = _surface(form), _surface(blocking)
    for name in only_asyncio:
        del asyncio_names[name]
    for name in own:
        del blocking_names[name]
    assert blocking_names == asyncio_names


def test_the_blocking_module_exports_what_the_asyncio_one_does():
    assert sorted(sync.__all__) == sorted(hsm_client.__all__)
