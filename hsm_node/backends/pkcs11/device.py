"""A token at work, in the process of its module: answers questions, each in a session that one thread has.

Session objects belong to the session that made them, so one session, the keeper, makes all of them and does nothing
else: they outlast the sessions that are opened anew. A session that fails is opened again, and the call made once
more; what is still wrong then is left to a new process (`LostError`), which is one way of recovery for all losses.
"""

import threading
from collections.abc import Mapping
from typing import Final, NamedTuple

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11 import key_templates, messages
from hsm_node.backends.pkcs11.core.object_cache import Cached, ObjectCache
from hsm_node.backends.pkcs11.core.return_values import (
    AMBIGUOUS,
    DEVICE_MEMORY,
    ENCRYPTED_DATA_INVALID,
    KEY_TYPE_INCONSISTENT,
    SESSION_COUNT,
    Fault,
    meaning,
)
from hsm_node.backends.pkcs11.master_key_objects import ATTRIBUTES_BYTES, KEKS, Part, kek_of, part_label
from hsm_node.backends.pkcs11.module import DeviceError, Module
from hsm_node.backends.pkcs11.structures import Mechanism, Template, mechanism
from hsm_wire.key_types import KEY_TYPES, Family, KeyType
from hsm_wire.mechanisms import CKM_SHA256_HMAC, MECHANISMS
from hsm_wire.messages import decode_body

_MAC_BYTES: Final = 32
_BLOCK: Final = bytes(16)


class UnusableError(Exception):
    """The token cannot be worked with; the text is one line."""


class LostError(Exception):
    """What was asked for failed as if the token, or the login, were gone: a new process has to look."""

    def __init__(self, error: DeviceError) -> None:
        super().__init__(str(error))
        self.failed = messages.Failed(error.number, error.function)


class MasterKeyHandles(NamedTuple):
    """The parts of one master key."""

    parts: Mapping[Part, int]
    given_out: bytes

    def __repr__(self) -> str:
        return "MasterKeyHandles(<secret>)"


class Device:
    """A token, and what is loaded into it."""

    def __init__(self, module: Module, slot: int) -> None:
        """Open the keeper. Whatever fails in `begin` fails at or after the login, therefore."""
        self._module = module
        self._slot = slot
        self._keeper = module.open_session(slot)
        self._keeper_lock = threading.Lock()
        self.room = ObjectCache()
        """The session objects that are there, and how many may be."""
        self._wrap_mechanism = 0
        self._master_keys: dict[int, MasterKeyHandles] = {}
        self._adopted: dict[str, int] = {}
        """Label -> a private key that was in the token before, and that nothing here destroys."""
        self.unbound = ""
        """Why keys that are made are not bound to the master key (CKA_WRAP_WITH_TRUSTED); empty: they are."""

    def begin(self, begin: messages.Begin) -> None:
        """Log in, and find the parts of the master keys.

        Raises:
            UnusableError: a part is missing, or there are two of it.
            DeviceError: C_Login, say.
        """
        self._module.login(self._keeper, begin.pin)
        self._wrap_mechanism = begin.wrap_mechanism
        self._master_keys = {named.version: self._parts(named.label) for named in begin.master_keys}
        self.unbound = self._objection_to_binding()

    @property
    def given_out(self) -> tuple[bytes, ...]:
        """What each master key gives out, the newest last."""
        return tuple(self._master_keys[version].given_out for version in sorted(self._master_keys))

    def sessions(self, wanted: int) -> list[int]:
        """Open that many sessions, or as many as the device gives."""
        opened: list[int] = []
        for _ in range(wanted):
            try:
                opened.append(self.session())
            except DeviceError as error:
                if error.number != SESSION_COUNT or not opened:
                    raise
                break
        return opened

    def session(self) -> int:
        """Open one session."""
        return self._module.open_session(self._slot)

    def close(self, session: int) -> None:
        """Close a session that may be gone already."""
        try:
            self._module.close_session(session)
        except DeviceError:
            return

    def forget(self, key: messages.KeyRef) -> None:
        """Destroy what is loaded of a key."""
        with self._keeper_lock:
            if key.device_object:
                self._adopted.pop(key.device_object, None)
            else:
                self._destroy(self.room.drop(key))

    def answer(self, session: int, question: messages.Question) -> messages.Answer:
        """Do what is asked, in that session."""
        match question:
            case messages.Use():
                return messages.Done(self._use(session, question))
            case messages.Mac(version, message):
                handle = self._part_of(version, Part.MAC)
                mac = self._module.sign(session, mechanism(CKM_SHA256_HMAC), handle, message, _MAC_BYTES)
                return messages.Done(mac)
            case messages.Generate(key_type, version):
                return self._generate(session, KEY_TYPES[key_type], version)
            case messages.Take():
                return self._take(session, question)
            case messages.Adopt(key_type, device_object):
                return self._adopt(KEY_TYPES[key_type], device_object)
            case messages.Random(length):
                return messages.Done(self._module.random(session, length))
            case messages.Forget(key):
                self.forget(key)
                return messages.Done(b"")
            case _:
                raise TypeError(type(question).__name__)

    def _use(self, session: int, question: messages.Use) -> bytes:
        row = MECHANISMS[question.mechanism]
        form = row.parameters
        parameters = None if form is None or not question.parameters else decode_body(form, question.parameters)
        made = mechanism(question.mechanism, parameters)
        cached = self._loaded(question.key)
        try:
            call = {"sign": self._module.sign, "encrypt": self._module.encrypt, "decrypt": self._module.decrypt}
            return call[question.verb](session, made, cached.handle, question.data, question.room)
        except DeviceError as error:
            if error.function == "C_Decrypt" and error.number in AMBIGUOUS and self._works(session, made, cached):
                raise DeviceError(ENCRYPTED_DATA_INVALID, error.function) from None
            raise
        finally:
            with self._keeper_lock:
                if question.key.device_object:
                    pass  # It was there before, and stays.
                elif question.key.kept:
                    self.room.give_back(cached)
                else:
                    self._destroy([cached.handle])

    def _works(self, session: int, made: Mechanism, cached: Cached) -> bool:
        """Whether the device decrypts what it has just encrypted: then it was the caller's data that did not."""
        try:
            secret = self._module.encrypt(session, made, cached.handle, _BLOCK, 2 * len(_BLOCK) + len(_BLOCK))
            return self._module.decrypt(session, made, cached.handle, secret, len(secret)) == _BLOCK
        except DeviceError:
            return False

    def _loaded(self, key: messages.KeyRef) -> Cached:
        """Return the session object of a key, made now if it is not there, or is not to be relied on."""
        if key.device_object:
            return Cached(self._adopted_handle(key.device_object))
        with self._keeper_lock:
            cached = self.room.take(key) if key.kept else None
            if cached is None:
                self._destroy(self.room.surplus())
                try:
                    handle = self._unwrap(key)
                except DeviceError as error:
                    if error.number != DEVICE_MEMORY or not len(self.room):
                        raise
                    self._destroy(self.room.full())
                    handle = self._unwrap(key)
                cached = self.room.put(key, handle) if key.kept else Cached(handle)
            return cached

    def _unwrap(self, key: messages.KeyRef) -> int:
        key_type = KEY_TYPES[key.key_type]
        kek, template = self._part_of(key.version, kek_of(key_type)), key_templates.unwrapped(key_type)
        return self._module.unwrap(self._keeper, mechanism(self._wrap_mechanism), kek, key.wrapped, template)

    def _destroy(self, handles: list[int]) -> None:
        for handle in handles:
            try:
                self._module.destroy(self._keeper, handle)
            except DeviceError:  # It is gone already, or will be with its session.
                continue

    # What makes keys

    def _generate(self, session: int, key_type: KeyType, version: int) -> messages.Made:
        template, made = self._as_made(key_templates.generated(key_type)), key_templates.generation(key_type)
        if key_type.symmetric:
            key = self._module.generate(session, made, template)
            return self._wrapped(session, key, key_type, version, key_type.size // 8, ())
        public_template = key_templates.generated_public(key_type)
        public, key = self._module.generate_pair(session, made, public_template, template)
        try:
            parts = self._public(session, public, key_type)
        finally:
            self._module.destroy(session, public)
        return self._wrapped(session, key, key_type, version, 0, parts)

    def _take(self, session: int, take: messages.Take) -> messages.Made:
        key_type = KEY_TYPES[take.key_type]
        transport: Template = {
            ck.CKA_CLASS: ck.CKO_SECRET_KEY,
            ck.CKA_KEY_TYPE: ck.CKK_AES,
            ck.CKA_TOKEN: False,
            ck.CKA_UNWRAP: True,
            ck.CKA_VALUE: take.transport_key,
        }
        with_mechanism = mechanism(self._wrap_mechanism)
        opening = self._module.create(session, transport)
        try:
            template = self._as_made(key_templates.taken(key_type))
            key = self._module.unwrap(session, with_mechanism, opening, take.wrapped, template)
        finally:
            self._module.destroy(session, opening)
        return self._wrapped(session, key, key_type, take.version, 0, ())

    def _wrapped(
        self, session: int, key: int, key_type: KeyType, version: int, true_length: int, public: tuple[bytes, ...]
    ) -> messages.Made:
        """Wrap a key that was made a moment ago, and destroy it: from here on nobody can have it extracted."""
        try:
            kek = self._part_of(version, kek_of(key_type))
            wrapped = self._module.wrap(session, mechanism(self._wrap_mechanism), kek, key)
        finally:
            self._module.destroy(session, key)
        return messages.Made(wrapped, true_length, public)

    # Keys that were there before

    def _adopted_handle(self, label: str) -> int:
        with self._keeper_lock:
            handle = self._adopted.get(label)
            if handle is None:
                handle = self._adopted[label] = self._only(label, ck.CKO_PRIVATE_KEY)
            return handle

    def _only(self, label: str, kind: int) -> int:
        found = self._module.find(self._keeper, {ck.CKA_CLASS: kind, ck.CKA_LABEL: label.encode()})
        if len(found) != 1:  # None is here, or nobody knows which is meant.
            raise DeviceError(KEY_TYPE_INCONSISTENT, "C_FindObjects")
        return found[0]

    def _adopt(self, key_type: KeyType, label: str) -> messages.Made:
        with self._keeper_lock:
            private, public = self._only(label, ck.CKO_PRIVATE_KEY), self._only(label, ck.CKO_PUBLIC_KEY)
            wanted = key_templates.adopted(key_type)
            for handle in (private, public):
                kind = int.from_bytes(self._module.attribute(self._keeper, handle, ck.CKA_KEY_TYPE), "little")
                if kind != wanted:
                    raise DeviceError(KEY_TYPE_INCONSISTENT, "C_GetAttributeValue")
            return messages.Made(b"", 0, self._public(self._keeper, public, key_type))

    def _public(self, session: int, public: int, key_type: KeyType) -> tuple[bytes, ...]:
        rsa = (ck.CKA_MODULUS, ck.CKA_PUBLIC_EXPONENT)
        wanted = rsa if key_type.family is Family.RSA else (ck.CKA_EC_POINT,)
        return tuple(self._module.attribute(session, public, number) for number in wanted)

    # Master keys

    def _as_made(self, template: Template) -> Template:
        return template if self.unbound else key_templates.bound(template)

    def _objection_to_binding(self) -> str:
        """Try whether a key that is made bound leaves under the KEKs, and under no other key."""
        key_type, wrapping = KEY_TYPES["aes-256"], mechanism(self._wrap_mechanism)
        template = key_templates.generated(key_type)
        handles: list[int] = []
        try:
            for held in self._master_keys.values():
                for kek in KEKS:
                    if self._module.attribute(self._keeper, held.parts[kek], ck.CKA_TRUSTED) != b"\x01":
                        return f"the security officer has not marked {kek} as trusted"
            made = key_templates.generation(key_type)
            handles.append(self._module.generate(self._keeper, made, key_templates.bound(template)))
            handles.append(self._module.generate(self._keeper, made, {**template, ck.CKA_WRAP: True}))
            for held in self._master_keys.values():
                self._module.wrap(self._keeper, wrapping, held.parts[kek_of(key_type)], handles[0])
            return "the device wraps a bound key under any key" if self._wraps(wrapping, *handles) else ""
        except DeviceError as error:
            return f"the device has no CKA_WRAP_WITH_TRUSTED ({error})"
        finally:
            self._destroy(handles)

    def _wraps(self, wrapping: Mechanism, key: int, under: int) -> bool:
        try:
            self._module.wrap(self._keeper, wrapping, under, key)
        except DeviceError:
            return False
        return True

    def _part_of(self, version: int, part: Part) -> int:
        held = self._master_keys.get(version)
        if held is None:  # Not in this token: its node asks for what it was not told to have.
            raise KeyError(f"master key version {version}")
        return held.parts[part]

    def _parts(self, label: str) -> MasterKeyHandles:
        handles = {part: self._one(part_label(label, part)) for part in Part}
        value = self._module.attribute(self._keeper, handles[Part.ATTRIBUTES], ck.CKA_VALUE)
        if len(value) != ATTRIBUTES_BYTES:
            name = part_label(label, Part.ATTRIBUTES).decode()
            raise UnusableError(f"the token's object {name!r} has no value of {ATTRIBUTES_BYTES} bytes to give out")
        return MasterKeyHandles(handles, value)

    def _one(self, label: bytes) -> int:
        found = self._module.find(self._keeper, {ck.CKA_LABEL: label})
        if len(found) == 1:
            return found[0]
        how_many = "no object" if not found else f"{len(found)} objects"
        raise UnusableError(
            f"the token has {how_many} labelled {label.decode()!r}: a master key has each of its parts once"
        )


def fault_of(error: DeviceError) -> Fault:
    """Return whose fault a failed call is."""
    return meaning(error.number).fault
