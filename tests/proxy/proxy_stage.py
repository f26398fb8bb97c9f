"""A proxy in the test's own loop, fake nodes behind it and raw clients before it."""

import asyncio
import socket
import ssl
import struct
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake_node import FakeNode

from hsm_daemon.tls import TlsFiles, client_context, server_context
from hsm_wire import kinds
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.messages import Hello, encode_body
from proxy.app import ProxyApp
from proxy.config import load_config

SIGN = 0x0201
WAIT_S = 10.0
FAST = (
    "[health]\ninterval_s = 0.05\nfast_interval_s = 0.03\ndown_interval_s = 0.05\ntimeout_s = 0.1\n"
    "[limits]\nhello_s = 0.3\nclosing_s = 0.3\nconnect_s = 1.0\nshutdown_s = 2.0\nclients = 20\n"
)


class Authority:
    """Issues certificates with a SPIFFE identity."""

    def __init__(self, folder, name="ca"):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.path = folder / f"{name}.pem"
        certificate = self._build(self._name, self._key, ca=True, identity=None)
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name, identity):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._build(subject, key, ca=False, identity=identity)
        files = TlsFiles(self.path, self._folder / f"{name}.pem", self._folder / f"{name}-key.pem")
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _build(self, subject, key, *, ca, identity):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if identity:
            names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


class RawClient:
    """Speaks frames to the proxy."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self._splitter = FrameSplitter(1 << 20)
        self._frames = []

    def send(self, kind, body=b"\x90", **fields):
        self.writer.write(encode_frame(kind, body, **fields))

    def hello(self, max_in_flight=64):
        self.send(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, max_in_flight, "test")))

    def ask(self, request_id, body=b"\x90", timeout_ms=0, opcode=SIGN):
        self.send(kinds.REQUEST, body, request_id=request_id, timeout_ms=timeout_ms, opcode=opcode, operation_id=9)

    async def frame(self):
        """Return the next frame; None at the end of the connection."""
        while not self._frames:
            try:
                data = await asyncio.wait_for(self.reader.read(65536), WAIT_S)
            except (ConnectionError, ssl.SSLError):
                return None
            if not data:
                return None
            self._frames += self._splitter.split(data)
        return self._frames.pop(0)

    async def frames(self, count):
        return [await self.frame() for _ in range(count)]

    def reset(self):
        """Die: no half-close, but a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self):
        self.writer.transport.abort()
        await asyncio.sleep(0)


class Stage:
    """Everything that one test needs, and its end."""

    def __init__(self, folder):
        self.folder = folder
        self.nodes = []
        self.app = None
        self.tls = None
        self._clients = []
        self._authority = None

    def with_tls(self):
        self._authority = Authority(self.folder)
        self.tls = self._authority.issue("proxy-1", "spiffe://t/proxy/proxy-1")

    def certificate(self, name, identity):
        return self._authority.issue(name, identity)

    async def start(self, nodes=3, settings=FAST, *, rotation=None, node_identity="spiffe://t/node/{}"):
        for number in range(1, nodes + 1):
            await self.add_node(f"node-{number}", node_identity)
        self.app = ProxyApp(load_config(self.write(settings)))
        await self.app.start()
        await self.until(lambda: len(self.app.table.rotation) == (nodes if rotation is None else rotation))

    async def add_node(self, name, node_identity="spiffe://t/node/{}"):
        node = FakeNode(name)
        self.nodes.append(node)
        context = server_context(self.certificate(name, node_identity.format(name))) if self.tls else None
        await node.start(context)
        return node

    def write(self, settings=FAST):
        tables = "".join(
            f'[[nodes]]\nname = "{n.name}"\nsite = "local"\n'
            f'paths = [{{ uplink = "lan", address = "127.0.0.1:{n.port}" }}]\n'
            for n in self.nodes
        )
        (self.folder / "cluster.toml").write_text(
            '[cluster]\nname = "t"\npackage = "sandbox"\n[[sites]]\nname = "local"\nuplinks = ["lan"]\n'
            + tables
            + '[[partitions]]\nid = 1\nname = "p"\nclients = [{ identity = "spiffe://t/client/a", roles = ["use"] }]\n'
            '[[operators]]\nidentity = "spiffe://t/operator/o"\n'
        )
        tls = '"off"\ntls_off_identity = "spiffe://t/client/a"'
        if self.tls:
            tls = '{ ca = "ca.pem", certificate = "proxy-1.pem", key = "proxy-1-key.pem" }'
        path = self.folder / "proxy.toml"
        path.write_text(
            'cluster = "cluster.toml"\nname = "proxy-1"\nsite = "local"\nlisten = "127.0.0.1:0"\n'
            f'admin = "127.0.0.1:0"\ntls = {tls}\n{settings}'
        )
        return path

    async def connect(self, files=None, *, hello=True, **settings):
        host, port = self.app.address.rsplit(":", 1)
        context = client_context(files) if files else None
        client = RawClient(*await asyncio.open_connection(host, int(port), ssl=context))
        self._clients.append(client)
        if hello:
            client.hello(**settings)
            welcome = await client.frame()
            assert welcome.kind == kinds.WELCOME, welcome
        return client

    async def until(self, condition):
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.01)

    async def get(self, page):
        host, port = self.app.admin_address.rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()
        await writer.wait_closed()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    async def close(self):
        for client in self._clients:
            await client.close()
        if self.app is not None:
            await self.app.stop()
        for node in self.nodes:
            await node.stop()
        await asyncio.sleep(0.01)
