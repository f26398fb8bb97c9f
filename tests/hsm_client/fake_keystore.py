"""The keys and objects of a fake cluster: as much of a node's rules as its clients' tests need."""

import secrets
import time
from typing import Any

import fake_crypto as crypto
import msgspec
from fake_crypto import FailedError

from hsm_wire import messages as m
from hsm_wire import objects as o
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag


class Keystore:
    """Keys and objects by id; shared by the proxies of one fake cluster."""

    def __init__(self) -> None:
        self.infos: dict[bytes, m.KeyInfo] = {}
        self.secrets: dict[bytes, Any] = {}
        self.objects: dict[bytes, tuple[o.ObjectInfo, bytes]] = {}
        self._creations: dict[bytes, bytes] = {}
        """Id -> the request that made it."""

    def answer(self, opcode: int, body: Any) -> Any:
        """Return the answer's body, or raise FailedError."""
        return getattr(self, Opcode(opcode).name.lower())(body)

    def info(self, body: m.Empty) -> m.InfoResult:
        return m.InfoResult("fake", "node-1", "test", [], [])

    def status(self, body: m.Empty) -> m.StatusResult:
        return m.StatusResult("fake", "local", "fake", "test", 1, 1, [])

    def events(self, body: m.Events) -> m.EventsResult:
        event = m.EventReport(body.after + 1, "", "info", "local", "node-1", f"one of {body.limit}")
        return m.EventsResult("fake", body.after + 1, [event])

    def random(self, body: m.Random) -> m.RandomResult:
        return m.RandomResult(secrets.token_bytes(body.length))

    # ---- making keys ------------------------------------------------------------------------------------------

    def generate_key(self, body: m.GenerateKey) -> m.KeyInfo:
        return self._created(body, body.key_id) or self._made(
            body, body.key_id, crypto.generate(body.key_type), "generated"
        )

    def import_key(self, body: m.ImportKey) -> m.KeyInfo:
        secret = crypto.load(body.key_type, body.material)
        return self._created(body, body.key_id) or self._made(body, body.key_id, secret, "imported")

    def adopt_key(self, body: m.AdoptKey) -> m.KeyInfo:
        secret = crypto.generate(body.key_type)
        return self._created(body, body.key_id) or self._made(body, body.key_id, secret, "adopted")

    def unwrap_key(self, body: m.UnwrapKey) -> m.KeyInfo:
        material = crypto.unwrap(self._secret(body.wrapping_key_id), body)
        secret = crypto.load(body.key_type, material)
        return self._created(body, body.key_id) or self._made(body, body.key_id, secret, "unwrapped")

    def derive(self, body: m.Derive) -> m.KeyInfo:
        secret = crypto.derive(self._active(body.key_id), body)
        return self._created(body, body.new_key_id) or self._made(body, body.new_key_id, secret, "derived")

    def encapsulate(self, body: m.Encapsulate) -> m.EncapsulateResult:
        ciphertext, secret = crypto.encapsulate(self._active(body.key_id))
        return m.EncapsulateResult(ciphertext, self._made(body, body.new_key_id, secret, "derived"))

    def decapsulate(self, body: m.Decapsulate) -> m.KeyInfo:
        secret = crypto.decapsulate(self._secret(body.key_id), body.ciphertext)
        return self._created(body, body.new_key_id) or self._made(body, body.new_key_id, secret, "derived")

    def rotate_key(self, body: m.RotateKey) -> m.KeyInfo:
        old = self._info(body.key_id)
        if old.replaced_by:
            if old.replaced_by != body.new_key_id:
                raise FailedError(Status.KEY_CHANGED)
            return self._info(body.new_key_id)
        secret = crypto.generate(old.key_type)
        self.secrets[body.new_key_id] = secret
        self.infos[body.new_key_id] = msgspec.structs.replace(
            old, key_id=body.new_key_id, version=1, public_key=crypto.public_of(secret), replaces=body.key_id
        )
        self._change(body.key_id, replaced_by=body.new_key_id)
        return self.infos[body.new_key_id]

    def _created(self, body: msgspec.Struct, key_id: bytes) -> m.KeyInfo | None:
        if key_id not in self._creations:
            return None
        if self._creations[key_id] != m.encode_body(body):
            raise FailedError(Status.KEY_EXISTS)
        return self.infos[key_id]

    def _made(self, body: Any, key_id: bytes, secret: Any, origin: str) -> m.KeyInfo:
        self._creations[key_id] = m.encode_body(body)
        usage = body.usage or int(KEY_TYPES[body.key_type].default_usages)
        self.secrets[key_id] = secret
        self.infos[key_id] = m.KeyInfo(
            key_id, body.key_type, body.label, usage, True, 1, 0, origin, crypto.public_of(secret), body.policy
        )
        return self.infos[key_id]

    # ---- showing and changing keys ----------------------------------------------------------------------------

    def describe_key(self, body: m.DescribeKey) -> m.KeyInfo:
        return self._info(body.key_id)

    def find_keys(self, body: m.FindKeys) -> m.FindKeysResult:
        found = [
            info
            for key_id, info in sorted(self.infos.items())
            if key_id > body.after and body.label in (None, info.label) and body.key_type in (None, info.key_type)
        ]
        return m.FindKeysResult(found[: body.limit])

    def update_key(self, body: m.UpdateKey) -> m.KeyInfo:
        if body.expected_version not in (0, self._info(body.key_id).version):
            raise FailedError(Status.KEY_CHANGED)
        names = ("label", "enabled", "usage", "policy")
        changes = {name: getattr(body, name) for name in names if getattr(body, name) is not None}
        if body.enabled:
            changes["destroy_at"] = 0
        return self._change(body.key_id, **changes)

    def destroy_key(self, body: m.DestroyKey) -> m.Empty:
        wait_s = max(body.wait_s, self._info(body.key_id).policy.destruction_wait_s)
        if wait_s:
            self._change(body.key_id, enabled=False, destroy_at=int(time.time()) + wait_s)
        else:
            del self.infos[body.key_id]
        return m.Empty()

    def _info(self, key_id: bytes) -> m.KeyInfo:
        if key_id not in self.infos:
            raise FailedError(Status.KEY_NOT_FOUND)
        return self.infos[key_id]

    def _change(self, key_id: bytes, **changes: Any) -> m.KeyInfo:
        old = self._info(key_id)
        self.infos[key_id] = msgspec.structs.replace(old, version=old.version + 1, **changes)
        return self.infos[key_id]

    # ---- using keys -------------------------------------------------------------------------------------------

    def _secret(self, key_id: bytes) -> Any:
        """Return what verifies, decrypts and unwraps: all that an earlier version does."""
        if not self._info(key_id).enabled:
            raise FailedError(Status.KEY_DISABLED)
        return self.secrets[key_id]

    def _active(self, key_id: bytes) -> Any:
        if self._info(key_id).replaced_by:
            raise FailedError(Status.KEY_USAGE)
        return self._secret(key_id)

    def sign(self, body: m.Sign) -> m.SignResult:
        return m.SignResult(crypto.sign(self._active(body.key_id), body))

    def verify(self, body: m.Verify) -> m.Empty:
        crypto.verify(self._secret(body.key_id), body)
        return m.Empty()

    def encrypt(self, body: m.Encrypt) -> m.EncryptResult:
        return m.EncryptResult(*crypto.encrypt(self._active(body.key_id), body))

    def decrypt(self, body: m.Decrypt) -> m.DecryptResult:
        return m.DecryptResult(crypto.decrypt(self._secret(body.key_id), body))

    def wrap_key(self, body: m.WrapKey) -> m.WrapKeyResult:
        if not self._info(body.key_id).policy.flags & PolicyFlag.EXPORTABLE:
            raise FailedError(Status.KEY_USAGE)
        material = crypto.material_of(self._secret(body.key_id))
        return m.WrapKeyResult(crypto.wrap(self._active(body.wrapping_key_id), body, material))

    # ---- objects ----------------------------------------------------------------------------------------------

    def create_object(self, body: o.CreateObject) -> o.ObjectInfo:
        if body.kind not in o.KINDS:
            raise FailedError(Status.BAD_REQUEST)
        if body.object_id not in self.objects:
            self.objects[body.object_id] = (o.ObjectInfo(body.object_id, body.kind, body.label, 1, 0), body.value)
        return self.objects[body.object_id][0]

    def read_object(self, body: o.ReadObject) -> o.ReadObjectResult:
        if body.object_id not in self.objects:
            raise FailedError(Status.KEY_NOT_FOUND)
        return o.ReadObjectResult(*self.objects[body.object_id])

    def find_objects(self, body: o.FindObjects) -> o.FindObjectsResult:
        found = [
            info
            for object_id, (info, _) in sorted(self.objects.items())
            if object_id > body.after and body.label in (None, info.label) and body.kind in (None, info.kind)
        ]
        return o.FindObjectsResult(found[: body.limit])

    def update_object(self, body: o.UpdateObject) -> o.ObjectInfo:
        read = self.read_object(o.ReadObject(body.object_id))
        if body.expected_version not in (0, read.info.version):
            raise FailedError(Status.KEY_CHANGED)
        label = read.info.label if body.label is None else body.label
        info = msgspec.structs.replace(read.info, label=label, version=read.info.version + 1)
        self.objects[body.object_id] = (info, read.value if body.value is None else body.value)
        return info

    def destroy_object(self, body: o.DestroyObject) -> m.Empty:
        self.read_object(o.ReadObject(body.object_id))
        del self.objects[body.object_id]
        return m.Empty()
