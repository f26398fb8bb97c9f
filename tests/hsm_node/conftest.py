"""Keyrings, records and a whole node on the test's own loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hsm_daemon.tls import TlsFiles
from hsm_node.config import NodeConfig
from hsm_node.core.derived_keys import DerivedKeys
from hsm_node.core.keyring import Keyring
from hsm_node.core.limits import DEFAULTS
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import kinds
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.messages import Bind, Failure, Hello, Policy, decode_body, encode_body
from hsm_wire.statuses import Status

PEM = serialization.Encoding.PEM
MASTER_KEY = bytes(range(32))
CLIENT = "spiffe://dev/client/dev"
CLUSTER_TOML = """
[cluster]
name = "dev"
package = "sandbox"
[[sites]]
name = "local"
risk_zone = "local"
latitude = 47.0
longitude = 8.0
uplinks = ["lo"]
[[nodes]]
name = "node-1"
site = "local"
paths = [{ uplink = "lo", address = "127.0.0.1:2420" }]
[[partitions]]
id = 1
name = "dev"
clients = [{ identity = "spiffe://dev/client/dev", roles = ["use", "manage"] }]
"""
NODE_TOML = """
cluster = "cluster.toml"
name = "node-1"
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
tls = "off"
state_dir = "state/node-1"
sessions = 2
[store]
path = "store.db"
[keystore]
master_key = { file = "master.key" }
"""


class RemoteKeys:
    """A master key that is far away, as one in a device is: it counts what it is asked, and may be gone."""

    def __init__(self, master_key: bytes) -> None:
        self._keys = DerivedKeys(master_key)
        self.attributes = self._keys.attributes
        self.fingerprint = self._keys.fingerprint
        self.expected: list[bytes] = []
        """Messages whose MACs were made ahead."""
        self.asked: list[bytes] = []
        """Those that were asked for without."""
        self.gone = False

    def mac(self, message: bytes) -> bytes:
        self._check()
        if message not in self.expected:
            self.asked.append(message)
        return self._keys.mac(message)

    def expect(self, messages: Sequence[bytes]) -> None:
        self._check()
        self.expected += messages

    def unwrap_store_key(self, wrapped: bytes) -> bytes:
        return self._keys.unwrap_store_key(wrapped)

    def _check(self) -> None:
        if self.gone:
            raise Refusal(Status.DEVICE_ERROR, "the device is gone")


@pytest.fixture
def remote_keys() -> RemoteKeys:
    return RemoteKeys(bytes(32))


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(MASTER_KEY)


@pytest.fixture
def other_keyring() -> Keyring:
    return Keyring(bytes(32))


@pytest.fixture
def make_record(keyring: Keyring) -> Callable[..., Record]:
    def make(**changes: object) -> Record:
        record = Record(
            cluster_id=b"c" * 16,
            partition=1,
            key_id=b"k" * 16,
            version=1,
            epoch=1,
            master_key_version=1,
            key_type="hmac-256",
            true_length=32,
            label="label",
            usage=3,
            enabled=True,
            destroyed=False,
            created=1000,
            origin="generated",
            public_key=b"",
            policy=Policy(),
            creation_digest=b"d" * 32,
            changes=(),
            wrapped=keyring.wrap(b"m" * 32),
        )
        return msgspec.structs.replace(record, **changes)

    return make


@pytest.fixture
def node_folder(tmp_path: Path) -> Path:
    return fill_node_folder(tmp_path)


def fill_node_folder(folder: Path) -> Path:
    (folder / "cluster.toml").write_text(CLUSTER_TOML)
    (folder / "node.toml").write_text(NODE_TOML)
    key = folder / "master.key"
    key.write_text(MASTER_KEY.hex() + "\n")
    key.chmod(0o600)
    return folder


class Authority:
    """Issues what a node with TLS needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = self._builder(self._key).add_extension(x509.BasicConstraints(True, 0), critical=True)
        (folder / "ca.pem").write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(PEM))

    def issue(self, identity: str, name: str, hours: int = 1) -> TlsFiles:
        key = ec.generate_private_key(ec.SECP256R1())
        uri = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        made = self._builder(key, hours).add_extension(uri, critical=False).sign(self._key, hashes.SHA256())
        files = TlsFiles(self.folder / "ca.pem", self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        files.certificate.write_bytes(made.public_bytes(PEM))
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        files.key.touch(mode=0o600)
        files.key.write_bytes(key.private_bytes(PEM, form, plain))
        return files

    def _builder(self, key: ec.EllipticCurvePrivateKey, hours: int = 1) -> x509.CertificateBuilder:
        now, issuer = datetime.now(UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        subject = issuer if key is self._key else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        return builder.not_valid_after(now + timedelta(hours=hours))


@pytest.fixture
def authority(node_folder: Path) -> Authority:
    return Authority(node_folder)


class WireClient:
    """Speaks for a proxy: HELLO, BIND as principal 7, then requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._splitter = FrameSplitter(1 << 20)
        self._frames: list[Frame] = []
        self._count = 0

    def send(self, kind: int, body: bytes = b"", **fields: int) -> None:
        self.writer.write(encode_frame(kind, body, **fields))

    def greet(self) -> None:
        self.send(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 100, "test")))

    def bind(
        self, number: int = 7, identity: str = CLIENT, partition: int = 1, roles: tuple[str, ...] = ("use", "manage")
    ) -> None:
        self.send(kinds.BIND, encode_body(Bind(number, identity, partition, list(roles), b"", 0)))

    def request(self, opcode: int, body: msgspec.Struct, **fields: int) -> int:
        self._count += 1
        sent = {"principal": 7, "operation_id": 5, "request_id": self._count, **fields}
        self.send(kinds.REQUEST, encode_body(body), opcode=opcode, **sent)
        return sent["request_id"]

    async def frame(self) -> Frame:
        while not self._frames:
            data = await asyncio.wait_for(self.reader.read(65536), 10)
            if not data:
                raise EOFError
            self._frames += self._splitter.split(data)
        return self._frames.pop(0)

    async def call(self, opcode: int, body: msgspec.Struct, **fields: int) -> Frame:
        self.request(opcode, body, **fields)
        return await self.frame()

    async def ended(self) -> bool:
        return await asyncio.wait_for(self.reader.read(1), 10) == b""


def detail(frame: Frame) -> str:
    """Return the text of a failed answer."""
    return decode_body(Failure, frame.body).detail


@pytest.fixture
def text_of() -> Callable[[Frame], str]:
    return detail


def patient(config: NodeConfig) -> NodeConfig:
    """Let uses wait for the store as long as it takes on a busy machine, unless the file says how long."""
    if config.limits.counting_s != DEFAULTS.counting_s:
        return config
    return msgspec.structs.replace(config, limits=msgspec.structs.replace(config.limits, counting_s=10.0))


class RunningNode:
    """A node on the test's loop, and clients to it."""

    def __init__(self, folder: Path) -> None:
        from hsm_daemon.lifecycle import Lifecycle
        from hsm_daemon.listening import bind
        from hsm_node.app import Node
        from hsm_node.config import load_node_config
        from hsm_node.core.ledger import Ledger
        from hsm_node.keystore import Keystore
        from hsm_node.master_key import load_keyring
        from hsm_node.next_master_key import hold_next
        from hsm_node.state.recorder import open_recorder
        from hsm_node.store.sqlite import SqliteStore

        config, cluster = load_node_config(folder / "node.toml")
        self.config = patient(config)
        ring = load_keyring(self.config.keystore.master_key)
        hold_next(ring, self.config.keystore)
        self.bound: socket.socket = bind("127.0.0.1", 0, 5)
        self.address = self.bound.getsockname()[:2]
        self.store = SqliteStore(self.config.store.path, cluster.name, ring)
        self.config.state_dir.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(ring.ledger_mac, self.store.cluster_id)
        self.recorder = open_recorder(self.config.state_dir, ledger, first_start=True)
        self.keystore = Keystore(self.config, cluster, ring, self.store, self.recorder)
        self.node = Node(self.config, cluster)
        self.node.open(self.keystore)
        self.lifecycle = Lifecycle()
        self.clients: list[WireClient] = []
        self.ready = asyncio.Event()
        self.lifecycle.ready = lambda _text: self.ready.set()  # type: ignore[method-assign]  # no systemd here
        self.task = asyncio.get_running_loop().create_task(self.node.serve(self.bound, self.lifecycle))

    async def client(self, *, greet: bool = True) -> WireClient:
        await asyncio.wait_for(self.ready.wait(), 10)
        client = WireClient(*await asyncio.open_connection(*self.address))
        self.clients.append(client)
        if greet:
            client.greet()
            assert (await client.frame()).kind == kinds.WELCOME
            client.bind()
        return client

    async def stop(self) -> None:
        self.lifecycle.stopping.set()
        for client in self.clients:
            client.writer.close()
        await asyncio.wait_for(self.task, 10)
        self.bound.close()
        self.recorder.close()
        self.store.close()


@pytest.fixture
def wire_client() -> type[WireClient]:
    return WireClient


@pytest.fixture(scope="session")
def node_in() -> Callable[..., RunningNode]:
    """What starts a node in an empty folder, on the running loop, for as long as whoever asks for it wants."""

    def start(folder: Path, limits: str) -> RunningNode:
        fill_node_folder(folder)
        with (folder / "node.toml").open("a") as file:
            file.write(f"\n[limits]\n{limits}\n")
        return RunningNode(folder)

    return start


@pytest.fixture
async def start_node(node_folder: Path) -> AsyncIterator[Callable[..., RunningNode]]:
    nodes: list[RunningNode] = []

    def start(limits: str = "") -> RunningNode:
        if limits:
            with (node_folder / "node.toml").open("a") as file:
                file.write(f"\n[limits]\n{limits}\n")
        nodes.append(RunningNode(node_folder))
        return nodes[-1]

    yield start
    for node in nodes:
        await node.stop()
