"""One PKCS#11 module in this process: calls in, return values out as `DeviceError`. Nothing is decided here.

ctypes leaves the interpreter's lock for the time of each call. The module is initialised once, with
CKF_OS_LOCKING_OK, before any thread may use it: a module that was initialised without it is free to keep no lock of
its own, and SoftHSM2 then crashes under threads. A session is used by one thread at a time; who owns it sees to that.
"""

import ctypes
from pathlib import Path
from typing import Any, Final, NamedTuple

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11.core.return_values import BUFFER_TOO_SMALL, OK, USER_ALREADY_LOGGED_IN, meaning
from hsm_node.backends.pkcs11.library import load_functions
from hsm_node.backends.pkcs11.structures import (
    POINTER,
    ULONG,
    Attribute,
    InitializeArguments,
    Mechanism,
    MechanismInfo,
    Template,
    TokenInfo,
    attributes,
)

MAX_SLOTS: Final = 1024
"""A partitioned device has some dozens."""
MAX_MECHANISMS: Final = 4096
"""PKCS#11 3.1 names some 400; vendors have more of their own."""
MAX_FOUND: Final = 64
"""Objects of one label: more than two are a mistake already."""
MAX_ATTRIBUTE_BYTES: Final = 8192
"""The modulus of RSA-8192 takes 1024."""


class DeviceError(Exception):
    """A call returned something else than CKR_OK."""

    def __init__(self, number: int, function: str) -> None:
        super().__init__(f"{function} returned {meaning(number).name}")
        self.number = number
        self.function = function


class Token(NamedTuple):
    """What C_GetTokenInfo says."""

    slot: int
    label: str
    serial: str
    model: str
    flags: int


class Module:
    """A loaded and initialised module."""

    def __init__(self, path: Path) -> None:
        """Load and initialise.

        Raises:
            ModuleLoadError: it is no library that this process can load, or no PKCS#11 module.
            DeviceError: it does not initialise.
        """
        self._call = load_functions(path)
        arguments = InitializeArguments(None, None, None, None, ck.CKF_OS_LOCKING_OK, None)
        self._done("C_Initialize", ctypes.byref(arguments))

    def close(self) -> None:
        """Finalise it; what it returns says nothing any more."""
        self._call["C_Finalize"](None)

    # Slots and sessions

    def slots(self) -> list[int]:
        """Return the slots that have a token."""
        array, count = (ULONG * MAX_SLOTS)(), ULONG(MAX_SLOTS)
        self._done("C_GetSlotList", 1, array, count)
        return list(array[: count.value])

    def token(self, slot: int) -> Token:
        """Return what the token in a slot says of itself."""
        info = TokenInfo()
        self._done("C_GetTokenInfo", slot, ctypes.byref(info))
        return Token(slot, _text(info.label), _text(info.serial), _text(info.model), info.flags)

    def mechanisms(self, slot: int) -> list[int]:
        """Return the numbers of the mechanisms that a token claims."""
        array, count = (ULONG * MAX_MECHANISMS)(), ULONG(MAX_MECHANISMS)
        self._done("C_GetMechanismList", slot, array, count)
        return list(array[: count.value])

    def mechanism_flags(self, slot: int, number: int) -> int:
        """Return what a token claims that a mechanism is for."""
        info = MechanismInfo()
        self._done("C_GetMechanismInfo", slot, number, ctypes.byref(info))
        return int(info.flags)

    def open_session(self, slot: int, *, writing: bool = False) -> int:
        """Open a session; one that writes may make objects that stay."""
        handle = ULONG()
        flags = ck.CKF_SERIAL_SESSION | (ck.CKF_RW_SESSION if writing else 0)
        self._done("C_OpenSession", slot, flags, None, None, handle)
        return handle.value

    def close_session(self, session: int) -> None:
        """Close a session, and so destroy the session objects that it made."""
        self._done("C_CloseSession", session)

    def login(self, session: int, pin: bytes) -> None:
        """Log the application in, all of its sessions. Called once per PIN: see `core.pin_memory`."""
        returned = self._call["C_Login"](session, ck.CKU_USER, pin, len(pin))
        if returned not in (OK, USER_ALREADY_LOGGED_IN):
            raise DeviceError(returned, "C_Login")

    def login_officer(self, session: int, pin: bytes) -> None:
        """Log the security officer in, where nobody is."""
        self._done("C_Login", session, ck.CKU_SO, pin, len(pin))

    def logout(self, session: int) -> None:
        """Log the application out, all of its sessions."""
        self._done("C_Logout", session)

    # Objects

    def create(self, session: int, template: Template) -> int:
        """Make an object of values."""
        array, handle = attributes(template), ULONG()
        self._done("C_CreateObject", session, array, len(array), handle)
        return handle.value

    def copy(self, session: int, key: int, template: Template) -> int:
        """Make another object of one, with some attributes changed."""
        array, handle = attributes(template), ULONG()
        self._done("C_CopyObject", session, key, array, len(array), handle)
        return handle.value

    def destroy(self, session: int, handle: int) -> None:
        """Destroy an object."""
        self._done("C_DestroyObject", session, handle)

    def change(self, session: int, handle: int, template: Template) -> None:
        """Set attributes."""
        array = attributes(template)
        self._done("C_SetAttributeValue", session, handle, array, len(array))

    def attribute(self, session: int, handle: int, number: int) -> bytes:
        """Return an attribute's value; empty where the device does not give it out or has none."""
        buffer = ctypes.create_string_buffer(MAX_ATTRIBUTE_BYTES)
        array = (Attribute * 1)(Attribute(number, ctypes.cast(buffer, POINTER), MAX_ATTRIBUTE_BYTES))
        self._done("C_GetAttributeValue", session, handle, array, 1)
        length = array[0].length
        return b"" if length == ck.UNAVAILABLE else buffer.raw[:length]

    def find(self, session: int, template: Template) -> list[int]:
        """Return the objects of these attributes, at most MAX_FOUND."""
        array, found, count = attributes(template), (ULONG * MAX_FOUND)(), ULONG()
        self._done("C_FindObjectsInit", session, array, len(array))
        try:
            self._done("C_FindObjects", session, found, MAX_FOUND, count)
        finally:
            self._done("C_FindObjectsFinal", session)
        return list(found[: count.value])

    # Keys

    def generate(self, session: int, mechanism: Mechanism, template: Template) -> int:
        """Make a secret key."""
        array, handle = attributes(template), ULONG()
        self._done("C_GenerateKey", session, ctypes.byref(mechanism), array, len(array), handle)
        return handle.value

    def generate_pair(self, session: int, mechanism: Mechanism, public: Template, private: Template) -> tuple[int, int]:
        """Make a key pair; return (public key, private key)."""
        first, second = attributes(public), attributes(private)
        handles = ULONG(), ULONG()
        arguments = (first, len(first), second, len(second), *handles)
        self._done("C_GenerateKeyPair", session, ctypes.byref(mechanism), *arguments)
        return handles[0].value, handles[1].value

    def wrap(self, session: int, mechanism: Mechanism, wrapping: int, key: int) -> bytes:
        """Return a key under another one."""
        return self._answer("C_WrapKey", MAX_ATTRIBUTE_BYTES, session, ctypes.byref(mechanism), wrapping, key)

    def unwrap(self, session: int, mechanism: Mechanism, wrapping: int, wrapped: bytes, template: Template) -> int:
        """Make an object of a wrapped key."""
        array, handle = attributes(template), ULONG()
        arguments = (wrapping, wrapped, len(wrapped), array, len(array), handle)
        self._done("C_UnwrapKey", session, ctypes.byref(mechanism), *arguments)
        return handle.value

    def derive(self, session: int, mechanism: Mechanism, base: int, template: Template) -> int:
        """Make a secret key of another one."""
        array, handle = attributes(template), ULONG()
        self._done("C_DeriveKey", session, ctypes.byref(mechanism), base, array, len(array), handle)
        return handle.value

    # Use

    def sign(self, session: int, mechanism: Mechanism, key: int, data: bytes, room: int) -> bytes:
        """Return a signature or MAC of at most `room` bytes, if all is well: no call asks for the length first."""
        self._done("C_SignInit", session, ctypes.byref(mechanism), key)
        return self._answer("C_Sign", room, session, data, len(data))

    def encrypt(self, session: int, mechanism: Mechanism, key: int, data: bytes, room: int) -> bytes:
        """Return a ciphertext."""
        self._done("C_EncryptInit", session, ctypes.byref(mechanism), key)
        return self._answer("C_Encrypt", room, session, data, len(data))

    def decrypt(self, session: int, mechanism: Mechanism, key: int, data: bytes, room: int) -> bytes:
        """Return a plaintext."""
        self._done("C_DecryptInit", session, ctypes.byref(mechanism), key)
        return self._answer("C_Decrypt", room, session, data, len(data))

    def random(self, session: int, length: int) -> bytes:
        """Return the device's random bytes."""
        buffer = ctypes.create_string_buffer(length)
        self._done("C_GenerateRandom", session, buffer, length)
        return buffer.raw

    def _done(self, name: str, *arguments: Any) -> None:
        returned = self._call[name](*arguments)
        if returned != OK:
            raise DeviceError(returned, name)

    def _answer(self, name: str, room: int, *arguments: Any) -> bytes:
        """Make a call whose answer is bytes; where they are more than was thought, once more with the room for them."""
        length = ULONG(room)
        buffer = ctypes.create_string_buffer(room)
        returned = self._call[name](*arguments, buffer, length)
        if returned == BUFFER_TOO_SMALL and length.value > room:
            buffer = ctypes.create_string_buffer(length.value)
            returned = self._call[name](*arguments, buffer, length)
        if returned != OK:
            raise DeviceError(returned, name)
        return buffer.raw[: length.value]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").rstrip(" \0")
