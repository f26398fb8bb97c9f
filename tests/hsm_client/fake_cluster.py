"""A small cluster on loopback for the client's tests: one proxy and its keys, with real crypto.

`script` holds answers that are given instead of the real one: a status to fail with, or one of CUT and MUTE.
"""

import asyncio
import secrets
import ssl
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    NoDigestInfo,
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hsm_wire import kinds
from hsm_wire import mechanisms as mech
from hsm_wire import messages as m
from hsm_wire import parameters as p
from hsm_wire.connection import Connection, agree_on, encode_failure
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsm_wire.states import End
from hsm_wire.statuses import Status

CUT = "cut"
MUTE = "mute"
HASHES: dict[int, Callable[[], hashes.HashAlgorithm]] = {
    mech.CKM_SHA256: hashes.SHA256,
    mech.CKM_SHA384: hashes.SHA384,
    mech.CKM_SHA512: hashes.SHA512,
}
BY_LENGTH = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}
MGFS = {p.CKG_MGF1_SHA256: hashes.SHA256, p.CKG_MGF1_SHA384: hashes.SHA384, p.CKG_MGF1_SHA512: hashes.SHA512}


class FailedError(Exception):
    """An answer that is not OK."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


class Keystore:
    """Keys by id; shared by the proxies of one fake cluster."""

    def __init__(self) -> None:
        self.infos: dict[bytes, m.KeyInfo] = {}
        self.secrets: dict[bytes, Any] = {}

    def answer(self, opcode: int, body: Any) -> Any:
        """Return the answer's body, or raise FailedError."""
        return getattr(self, Opcode(opcode).name.lower())(body)

    def generate_key(self, body: m.GenerateKey) -> m.KeyInfo:
        if body.key_id in self.infos:
            return self.infos[body.key_id]
        kind, _, size = body.key_type.partition("-")
        curves = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}
        if kind == "rsa":
            secret: Any = rsa.generate_private_key(65537, int(size))
        elif kind == "ec":
            secret = ec.generate_private_key(curves[size]())
        elif kind == "ed25519":
            secret = ed25519.Ed25519PrivateKey.generate()
        else:
            secret = secrets.token_bytes(int(size) // 8)
        public = b""
        if not isinstance(secret, bytes):
            public = secret.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        self.secrets[body.key_id] = secret
        info = m.KeyInfo(body.key_id, body.key_type, body.label, 3, True, 1, 0, "generated", public, body.policy)
        self.infos[body.key_id] = info
        return info

    def describe_key(self, body: m.DescribeKey) -> m.KeyInfo:
        if body.key_id not in self.infos:
            raise FailedError(Status.KEY_NOT_FOUND)
        return self.infos[body.key_id]

    def find_keys(self, body: m.FindKeys) -> m.FindKeysResult:
        found = [
            info
            for key_id, info in sorted(self.infos.items())
            if key_id > body.after and body.label in (None, info.label) and body.key_type in (None, info.key_type)
        ]
        return m.FindKeysResult(found[: body.limit])

    def update_key(self, body: m.UpdateKey) -> m.KeyInfo:
        old = self.describe_key(m.DescribeKey(body.key_id))
        label = old.label if body.label is None else body.label
        enabled = old.enabled if body.enabled is None else body.enabled
        self.infos[body.key_id] = m.KeyInfo(
            old.key_id,
            old.key_type,
            label,
            old.usage,
            enabled,
            old.version + 1,
            0,
            old.origin,
            old.public_key,
            old.policy,
        )
        return self.infos[body.key_id]

    def destroy_key(self, body: m.DestroyKey) -> m.Empty:
        self.infos.pop(body.key_id, None)
        return m.Empty()

    def info(self, body: m.Empty) -> m.InfoResult:
        return m.InfoResult("fake", "node-1", "test", [], [])

    def status(self, body: m.Empty) -> m.StatusResult:
        return m.StatusResult("fake", "local", "fake", "test", 1, 1, [])

    def random(self, body: m.Random) -> m.RandomResult:
        return m.RandomResult(secrets.token_bytes(body.length))

    def _secret(self, key_id: bytes) -> Any:
        if not self.describe_key(m.DescribeKey(key_id)).enabled:
            raise FailedError(Status.KEY_DISABLED)
        return self.secrets[key_id]

    def sign(self, body: m.Sign) -> m.SignResult:
        secret = self._secret(body.key_id)
        if isinstance(secret, ed25519.Ed25519PrivateKey):
            return m.SignResult(secret.sign(body.data))
        if isinstance(secret, ec.EllipticCurvePrivateKey):
            size = (secret.key_size + 7) // 8
            r, s = decode_dss_signature(secret.sign(body.data, ec.ECDSA(_ec_hash(body))))
            return m.SignResult(r.to_bytes(size, "big") + s.to_bytes(size, "big"))
        scheme, algorithm = _rsa_scheme(body)
        return m.SignResult(secret.sign(body.data, scheme, algorithm))

    def verify(self, body: m.Verify) -> m.Empty:
        public = self._secret(body.key_id).public_key()
        try:
            if isinstance(public, ed25519.Ed25519PublicKey):
                public.verify(body.signature, body.data)
            elif isinstance(public, ec.EllipticCurvePublicKey):
                half = len(body.signature) // 2
                r, s = (int.from_bytes(part, "big") for part in (body.signature[:half], body.signature[half:]))
                public.verify(encode_dss_signature(r, s), body.data, ec.ECDSA(_ec_hash(body)))
            else:
                scheme, algorithm = _rsa_scheme(body)
                data = body.data
                if isinstance(algorithm, NoDigestInfo):  # which `cryptography` can sign with, not verify
                    data = data[19:]
                    algorithm = Prehashed(BY_LENGTH[len(data)])
                public.verify(body.signature, data, scheme, algorithm)
        except InvalidSignature:
            raise FailedError(Status.BAD_SIGNATURE) from None
        return m.Empty()

    def encrypt(self, body: m.Encrypt) -> m.EncryptResult:
        given = m.decode_body(p.GcmParameters, body.parameters)
        iv = secrets.token_bytes(12)
        return m.EncryptResult(AESGCM(self._secret(body.key_id)).encrypt(iv, body.data, given.aad), iv)

    def decrypt(self, body: m.Decrypt) -> m.DecryptResult:
        secret = self._secret(body.key_id)
        if isinstance(secret, rsa.RSAPrivateKey):
            oaep = m.decode_body(p.OaepParameters, body.parameters)
            scheme = padding.OAEP(padding.MGF1(MGFS[oaep.mgf]()), HASHES[oaep.hash_mechanism](), oaep.label or None)
            return m.DecryptResult(secret.decrypt(body.data, scheme))
        given = m.decode_body(p.GcmParameters, body.parameters)
        return m.DecryptResult(AESGCM(secret).decrypt(given.iv, body.data, given.aad))


def _ec_hash(body: m.Sign | m.Verify) -> Any:
    number = mech.MECHANISMS[body.mechanism].hash_mechanism
    return HASHES[number]() if number else Prehashed(BY_LENGTH[len(body.data)])


def _rsa_scheme(body: m.Sign | m.Verify) -> tuple[Any, Any]:
    row = mech.MECHANISMS[body.mechanism]
    if row.parameters is p.PssParameters:
        given = m.decode_body(p.PssParameters, body.parameters)
        whole = HASHES[given.hash_mechanism]()
        scheme = padding.PSS(padding.MGF1(MGFS[given.mgf]()), given.salt_bytes)
        return scheme, Prehashed(whole) if row.digest_input else whole
    return padding.PKCS1v15(), NoDigestInfo() if row.digest_input else HASHES[row.hash_mechanism]()


class FakeProxy:
    """One proxy. `requests` are the frames received, `connections` those open now."""

    def __init__(self, keystore: Keystore | None = None) -> None:
        self.keystore = keystore or Keystore()
        self.script: deque[Any] = deque()
        self.requests: list[Frame] = []
        self.connections: set[_Served] = set()
        self.accepted = 0
        self.cancelled: list[int] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self, context: ssl.SSLContext | None = None) -> "FakeProxy":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Served(self), "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for connection in list(self.connections):
                connection.transport.abort()
            while self.connections:
                await asyncio.sleep(0)
            await self._server.wait_closed()
            self._server = None


class _Served(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, proxy: FakeProxy) -> None:
        self.proxy = proxy
        self.wire = Connection(End.SERVER, binds=False)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.proxy.connections.add(self)
        self.proxy.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.proxy.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        for frame in self.wire.receive(data):
            if frame.kind == kinds.HELLO:
                self.wire.sent(kinds.WELCOME)
                self.wire.agree(1 << 20)
                welcome = agree_on(m.decode_body(m.Hello, frame.body), 1 << 20, 16, "fake", "")
                self.transport.write(encode_frame(kinds.WELCOME, m.encode_body(welcome)))
            elif frame.kind == kinds.REQUEST:
                self.proxy.requests.append(frame)
                self._serve(frame)
            elif frame.kind == kinds.CANCEL:
                self.proxy.cancelled.append(frame.request_id)

    def go_away(self) -> None:
        self.wire.sent(kinds.GOAWAY)
        self.transport.write(encode_frame(kinds.GOAWAY, m.encode_body(m.Goaway("stop"))))

    def _serve(self, frame: Frame) -> None:
        scripted = self.proxy.script.popleft() if self.proxy.script else None
        if scripted == MUTE:
            return
        if scripted == CUT:
            self.transport.abort()
            return
        self.wire.answered(frame.request_id)
        if isinstance(scripted, Status):
            self._fail(frame, scripted, not_executed=True)
            return
        try:
            body = m.decode_body(OPERATIONS[frame.opcode].request, frame.body)
            result = self.proxy.keystore.answer(frame.opcode, body)
        except FailedError as error:
            self._fail(frame, error.status)
            return
        status = Status.OK
        if scripted is not None:
            status, result = scripted
        self.transport.write(
            encode_frame(
                kinds.RESPONSE,
                m.encode_body(result),
                request_id=frame.request_id,
                opcode=frame.opcode,
                status=status,
                operation_id=frame.operation_id,
            )
        )

    def _fail(self, frame: Frame, status: Status, *, not_executed: bool = False) -> None:
        self.transport.write(
            encode_failure(
                frame.request_id,
                status,
                "",
                opcode=frame.opcode,
                operation_id=frame.operation_id,
                not_executed=not_executed,
            )
        )


class FakeCluster:
    """A FakeProxy on an event loop in a thread of its own, for tests of the blocking client."""

    def __init__(self) -> None:
        self.proxy = FakeProxy()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "FakeCluster":
        self._thread.start()
        self.call(self.proxy.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self.proxy.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
