"""What a SIGHUP finds, before anything is applied; and SIGHUP, SIGSTOP and SIGCONT to a real process."""

import asyncio
import contextlib
import dataclasses
import re
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hsm_cluster.address import Address
from hsm_cluster.errors import ConfigurationError
from hsm_daemon.errors import StartError
from hsm_daemon.tls import client_context, load_certificates
from hsm_node.config import StoreConfig, load_node_config
from hsm_node.reconfiguration import load
from hsm_wire import kinds
from hsm_wire.messages import Random
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

ROOT = Path(__file__).parents[2]
SECOND_NODE = """
[[nodes]]
name = "node-2"
site = "local"
paths = [{ uplink = "lo", address = "127.0.0.1:2421" }]
[[partitions]]"""


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_what_needs_a_restart_is_named_and_keeps_its_old_value(node_folder: Path) -> None:
    file = node_folder / "node.toml"
    config, cluster = load_node_config(file)
    edit(file, "sessions = 2", "sessions = 3")
    edit(file, 'path = "store.db"', 'path = "other.db"')
    file.write_text(file.read_text() + "[limits]\nstall_s = 1.0\n")
    edit(node_folder / "cluster.toml", "[[partitions]]", SECOND_NODE)
    new = load(file, config, cluster)
    assert new.restart_for == ("store", "sessions", "limits")
    assert new.config == config
    assert [node.name for node in new.cluster.nodes] == ["node-1", "node-2"]


def test_a_node_that_cannot_wait_for_the_dr_site_does_not_take_up_that_it_has_to(
    node_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, cluster = load_node_config(node_folder / "node.toml")
    member = Address("127.0.0.1", 2379)
    store = StoreConfig("etcd", endpoints=(member,), dr_endpoint=member, tls="off")
    said = msgspec.structs.replace(config, store=store), dataclasses.replace(cluster, durability="dr")
    monkeypatch.setattr("hsm_node.reconfiguration.load_node_config", lambda _path: said)
    with pytest.raises(StartError, match=r'durability "dr" now, and this node runs without dr_endpoint; restart it'):
        load(node_folder / "node.toml", config, cluster)
    assert load(node_folder / "node.toml", said[0], cluster).cluster.durability == "dr"


def test_another_cluster_name_waits_for_a_restart(node_folder: Path) -> None:
    config, cluster = load_node_config(node_folder / "node.toml")
    text = (node_folder / "cluster.toml").read_text()
    (node_folder / "cluster.toml").write_text(
        text.replace('name = "dev"', 'name = "prod"', 1).replace("spiffe://dev/", "spiffe://prod/")
    )
    new = load(node_folder / "node.toml", config, cluster)
    assert (new.restart_for, new.cluster) == (("cluster name",), cluster)


def test_a_file_without_this_node_is_wrong(node_folder: Path) -> None:
    config, cluster = load_node_config(node_folder / "node.toml")
    for name in ("node.toml", "cluster.toml"):
        edit(node_folder / name, 'name = "node-1"', 'name = "node-7"')
    with pytest.raises(ConfigurationError, match="node-1"):
        load(node_folder / "node.toml", config, cluster)


def with_tls(folder: Path, authority: Any) -> Path:
    authority.issue("spiffe://dev/node/node-1", "node")
    edit(folder / "node.toml", '"off"', '{ ca = "ca.pem", certificate = "node.pem", key = "node-key.pem" }')
    return folder / "node.toml"


def test_tls_goes_neither_on_nor_off_and_the_certificate_stays_this_nodes(node_folder: Path, authority: Any) -> None:
    plain, cluster = load_node_config(node_folder / "node.toml")
    file = with_tls(node_folder, authority)
    new = load(file, plain, cluster)
    assert (new.restart_for, new.certificates, new.config) == (("tls on or off",), None, plain)
    config, _ = load_node_config(file)
    certificates = load_certificates(config.tls_files)
    assert certificates is not None
    assert certificates.identity == "spiffe://dev/node/node-1"
    assert load(file, config, cluster).certificates is not None
    authority.issue("spiffe://dev/node/node-2", "node")
    with pytest.raises(StartError, match="node-2, not of spiffe://dev/node/node-1"):
        load(file, config, cluster)


def test_what_the_store_is_shown_is_looked_at_before_it_is_used(node_folder: Path, authority: Any) -> None:
    authority.issue("spiffe://store/any/name", "store")
    tls = '{ ca = "ca.pem", certificate = "store.pem", key = "store-key.pem" }'
    shown = f'driver = "etcd"\nendpoints = ["127.0.0.1:2379"]\ntls = {tls}'
    edit(node_folder / "node.toml", 'path = "store.db"', shown)
    config, cluster = load_node_config(node_folder / "node.toml")
    new = load(node_folder / "node.toml", config, cluster)
    assert new.store_certificates is not None
    assert new.restart_for == ()
    authority.issue("spiffe://store/any/name", "store", hours=-1)
    with pytest.raises(StartError, match=r"store\.pem expired at .*; issue a new one"):
        load(node_folder / "node.toml", config, cluster)


def test_members_of_the_store_may_come_and_go_but_nothing_else_of_it(node_folder: Path) -> None:
    file = node_folder / "node.toml"
    edit(file, 'path = "store.db"', 'driver = "etcd"\nendpoints = ["127.0.0.1:2379"]\ntls = "off"')
    config, cluster = load_node_config(file)
    edit(file, '["127.0.0.1:2379"]', '["127.0.0.2:2379", "127.0.0.1:2379"]')
    new = load(file, config, cluster)
    assert new.restart_for == ()
    assert [address.host for address in new.config.store.endpoints] == ["127.0.0.2", "127.0.0.1"]
    edit(file, 'driver = "etcd"\nendpoints = ["127.0.0.2:2379", "127.0.0.1:2379"]\ntls = "off"', 'path = "store.db"')
    new = load(file, config, cluster)
    assert (new.restart_for, new.config.store) == (("store",), config.store)


class Process:
    """A node as a process, and its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self.lines: list[str] = []

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def until(self, words: str) -> str:
        """Read the log up to a line with these words."""
        assert self._process.stderr is not None
        while True:
            line = (await asyncio.wait_for(self._process.stderr.readline(), 20)).decode()
            assert line, self.lines
            self.lines.append(line)
            if words in line:
                return line

    async def ready(self) -> None:
        line = await self.until("event=ready")
        self.port, self.admin = (int(re.search(rf"{name}=127.0.0.1:(\d+)", line)[1]) for name in ("address", "admin"))  # type: ignore[index]  # a ready line has both

    async def page(self, path: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.admin)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer.decode()


@pytest.fixture
async def run_process(node_folder: Path) -> AsyncIterator[Callable[[], Any]]:
    running: list[asyncio.subprocess.Process] = []

    async def run() -> Process:
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hsm_node.cli", "--config", str(node_folder / "node.toml"),
            cwd=ROOT, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        running.append(made)
        process = Process(made)
        await process.ready()
        return process

    yield run
    for made in running:
        made.send_signal(signal.SIGCONT)
        made.terminate()
        await asyncio.wait_for(made.communicate(), 20)
        assert made.returncode == 0


async def test_sighup_applies_a_sound_configuration_and_keeps_every_connection(
    node_folder: Path, run_process: Callable[[], Any], wire_client: Any
) -> None:
    process = await run_process()
    client = wire_client(*await asyncio.open_connection("127.0.0.1", process.port))
    client.greet()
    assert (await client.frame()).kind == kinds.WELCOME
    client.bind()
    before = re.search(r'hash="(\w+)"', await process.page("/metrics"))
    edit(node_folder / "cluster.toml", "[[partitions]]", SECOND_NODE)
    edit(node_folder / "node.toml", "sessions = 2", "sessions = 3")
    process.send(signal.SIGHUP)
    assert "settings=sessions" in await process.until("need")
    after = await process.page("/metrics")
    assert before is not None
    assert before[1] not in after
    assert "hsm_node_configuration_last_reload_successful 1.0" in after
    assert "hsm_node_sessions 2.0" in after
    assert (await client.call(Opcode.RANDOM, Random(5))).status == Status.OK
    edit(node_folder / "cluster.toml", 'risk_zone = "local"', 'role = "disaster-recovery"\nrisk_zone = "local"')
    edit(node_folder / "cluster.toml", "package", "pakage")
    process.send(signal.SIGHUP)
    assert "pakage" in await process.until("reload failed")
    assert "hsm_node_configuration_last_reload_successful 0.0" in await process.page("/metrics")
    assert '"state":"up"' in await process.page("/status")
    assert (await client.call(Opcode.RANDOM, Random(5))).status == Status.OK
    client.writer.close()


async def test_sighup_brings_new_certificates_to_new_connections(
    node_folder: Path, authority: Any, run_process: Callable[[], Any], wire_client: Any
) -> None:
    with_tls(node_folder, authority)
    context = client_context(authority.issue("spiffe://dev/proxy/p1", "proxy"))
    process = await run_process()

    async def connect() -> tuple[Any, bytes | None]:
        client = wire_client(*await asyncio.open_connection("127.0.0.1", process.port, ssl=context))
        client.greet()
        assert (await client.frame()).kind == kinds.WELCOME
        client.bind()
        connection: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
        return client, connection.getpeercert(binary_form=True)

    first, old = await connect()
    expiry = re.search(r"(?m)^hsm_node_certificate_not_after_seconds (\S+)", await process.page("/metrics"))
    authority.issue("spiffe://dev/node/node-1", "node", hours=5)
    process.send(signal.SIGHUP)
    await process.until("configuration loaded")
    second, new = await connect()
    assert old != new
    later = re.search(r"(?m)^hsm_node_certificate_not_after_seconds (\S+)", await process.page("/metrics"))
    assert expiry is not None
    assert later is not None
    assert float(later[1]) - float(expiry[1]) > 3 * 3600
    for client in (first, second):
        assert (await client.call(Opcode.RANDOM, Random(5))).status == Status.OK
        client.writer.close()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await client.writer.wait_closed()


async def test_after_sigstop_what_was_sent_meanwhile_is_not_served_and_the_next_connection_is(
    run_process: Callable[[], Any], wire_client: Any
) -> None:
    process = await run_process()

    async def connect() -> Any:
        client = wire_client(*await asyncio.open_connection("127.0.0.1", process.port))
        client.greet()
        assert (await client.frame()).kind == kinds.WELCOME
        client.bind()
        return client

    client = await connect()
    assert (await client.call(Opcode.RANDOM, Random(5))).status == Status.OK
    process.send(signal.SIGSTOP)
    client.request(Opcode.RANDOM, Random(5))
    await client.writer.drain()
    await asyncio.sleep(0.8)
    process.send(signal.SIGCONT)
    assert (await client.frame()).kind == kinds.GOAWAY
    with pytest.raises((EOFError, ConnectionError)):
        await client.frame()
    client.writer.close()
    again = await connect()
    assert (await again.call(Opcode.RANDOM, Random(5))).status == Status.OK
    assert "200 OK" in (await process.page("/readyz")).splitlines()[0]
    page = await process.page("/metrics")
    assert 'hsm_node_requests_total{operation="random",status_class="ok"} 2.0' in page
    assert "hsm_node_stalls_total 1.0" in page
    assert float(re.search(r"(?m)^hsm_node_last_stall_seconds (\S+)", page)[1]) >= 0.5  # type: ignore[index]  # it is there
    again.writer.close()
